//! The tests of the product: black box, over stdio, against the reference gateway.

#![allow(clippy::unwrap_used, reason = "what helps a test is part of the test")]

mod support;

mod audit;
mod commands;
mod component;
mod configuration;
mod connections;
mod hostile_gateway;
mod hostile_suite;
mod inspect;
mod protocol;
mod tools;
