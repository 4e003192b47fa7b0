// The official conformance suite on the server, through the bridge: every scenario that a server with tools only can
// pass does, in both eras.
//
// usage: node run.mjs SERVER
//
// The gateway and the key come from AIGATEWAY_URL and AIGATEWAY_API_KEY. What does not apply is in not-applicable.json,
// with its reason: a whole scenario, or `scenario:check`. A scenario that fails and is not listed has failed, and so has
// an entry of the list that passes, or that the suite does not know.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bridge } from './bridge.mjs';

const [server] = process.argv.slice(2);
const { AIGATEWAY_URL, AIGATEWAY_API_KEY } = process.env;
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const SUITE = path('node_modules/@modelcontextprotocol/conformance/dist/index.js');
const NOT_APPLICABLE = JSON.parse(await readFile(path('not-applicable.json'), 'utf8'));

// The suite adds it to every scenario: each message against the version's schema. It always applies.
const SCHEMA_CHECK = 'wire-schema-valid';

const WRONG = ['FAILURE', 'WARNING'];

let passed = 0;
let failed = 0;

function report(name, trouble) {
  if (trouble) failed += 1;
  else passed += 1;
  console.log(trouble ? `FAILED: ${name}: ${trouble}` : `ok: ${name}`);
}

async function suite(...args) {
  const run = spawn('node', ['--import', path('older-node.mjs'), SUITE, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = await Promise.all([run.stdout.toArray(), once(run, 'close')]);
  return text.join('');
}

/** The scenarios that the suite has for a version. */
async function scenarios(version) {
  const listed = await suite('list', '--server', '--spec-version', version);
  return [...listed.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name);
}

/** What it found: the checks of each scenario. */
async function run(url, version) {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    await suite('server', '--url', url, '--suite', 'all', '--spec-version', version, '--output-dir', folder);
    const found = (await readdir(folder)).map(async (name) => [
      name.replace(/^server-(.*)-\d{4}-\d\d-\d\dT.*$/, '$1'),
      JSON.parse(await readFile(join(folder, name, 'checks.json'), 'utf8')),
    ]);
    return new Map(await Promise.all(found));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Why a scenario has not passed, its listed checks aside; undefined if it has. */
function trouble(scenario, checks, listed) {
  if (!checks) return 'it did not run';
  const own = checks.filter(({ id }) => id !== SCHEMA_CHECK);
  const wrong = checks.filter(({ id, status }) => WRONG.includes(status) && !listed.has(`${scenario}:${id}`));
  if (wrong.length) return wrong.map(({ id, errorMessage }) => `${id}: ${errorMessage}`).join('; ');
  return own.some(({ status }) => status === 'SUCCESS') ? undefined : 'none of its checks passed';
}

/** Why an entry of the list is out of date; undefined if it is not. */
function stale(entry, found) {
  const [scenario, check] = entry.split(':');
  const checks = found.get(scenario)?.filter(({ id }) => id !== SCHEMA_CHECK && (!check || id === check));
  if (!checks?.length) return 'the suite does not know it';
  return checks.some(({ status }) => status === 'SUCCESS') ? 'it passes' : undefined;
}

async function check(version) {
  const listed = new Map(Object.entries(NOT_APPLICABLE[version]));
  const env = { AIGATEWAY_URL, AIGATEWAY_API_KEY };
  const { url, close } = await bridge(server, env);
  const found = await run(url, version);
  await close();
  const known = await scenarios(version);
  report(`${version}: the suite ran`, known.length && found.size ? undefined : 'it lists nothing, or has found nothing');
  for (const scenario of known) {
    const checks = found.get(scenario);
    if (!listed.has(scenario)) {
      report(`${version} ${scenario}`, trouble(scenario, checks, listed));
      continue;
    }
    console.log(`does not apply: ${version} ${scenario}: ${listed.get(scenario)}`);
    const lines = checks?.find(({ id }) => id === SCHEMA_CHECK);
    if (lines && lines.status !== 'SUCCESS') report(`${version} ${scenario}`, lines.errorMessage);
  }
  for (const [entry, reason] of listed) {
    const wrong = reason ? stale(entry, found) : 'it has no reason';
    if (wrong) report(`${version} ${entry} in not-applicable.json`, wrong);
  }
}

for (const version of Object.keys(NOT_APPLICABLE)) await check(version);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
