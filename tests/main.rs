//! The tests of the product: black box, over stdio, against the reference gateway.

mod support;

mod component;
mod inspect;
mod tools;
