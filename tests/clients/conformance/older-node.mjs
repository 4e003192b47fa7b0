// Lets the suite start on Node 20. It imports a function that Node has from 22 on, for a command that is not used here.
//
// usage: node --import ./older-node.mjs SUITE …

import * as fs from 'node:fs';
import { register } from 'node:module';

if (!('globSync' in fs)) {
  const stand_in = "export * from 'node:fs'; export const globSync = undefined;";
  const hook = `export const resolve = (name, context, next) =>
    name === 'fs' && context.parentURL?.includes('/conformance/dist/')
      ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(stand_in)}`)}, shortCircuit: true }
      : next(name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
