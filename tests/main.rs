//! The tests of the product: black box, over stdio, against the reference gateway.

mod support;

mod commands;
mod configuration;
mod connections;
mod hostile_gateway;
mod tools;
