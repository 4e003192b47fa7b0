//! Keeps a reference gateway running, to try the server with a real MCP client.
//!
//! `cargo run --locked --example gateway [PORT]` listens on 127.0.0.1, port 8088 unless told otherwise, and prints
//! the keys of two users. Its mappings are in memory: they end with it.

#![allow(clippy::print_stdout, reason = "what to export is what this program has to say")]

use std::io;
use std::process::ExitCode;

use reference_gateway::{Gateway, NewMapping, Role};

/// Where AIGateway listens, and where the server looks for it.
const DEFAULT_PORT: u16 = 8088;

fn main() -> ExitCode {
    match run() {
        Ok(never) => match never {},
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<std::convert::Infallible, String> {
    let port = port()?;
    let gateway = start(port).map_err(|error| refusal(port, &error))?;
    println!("{}", introduction(&gateway));
    loop {
        std::thread::park();
    }
}

fn port() -> Result<u16, String> {
    let mut arguments = std::env::args().skip(1);
    let port = match arguments.next() {
        None => DEFAULT_PORT,
        Some(text) => text.parse().map_err(|_| format!("`{text}` is not a port: give a number from 1 to 65535"))?,
    };
    match arguments.next() {
        None => Ok(port),
        Some(extra) => Err(format!("unexpected argument `{extra}`\nusage: gateway [PORT]")),
    }
}

fn start(port: u16) -> io::Result<Gateway> {
    let builder = Gateway::builder().port(port).user("alice", Role::User).user("root", Role::Admin);
    let gateway = builder.without_recording().start()?;
    gateway.insert(NewMapping::global("fast"));
    gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
    Ok(gateway)
}

fn refusal(port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is taken: another gateway may be running there\n\
             hint: cargo run --locked --example gateway {}",
            port.wrapping_add(1)
        ),
        _ => format!("cannot listen on port {port}: {error}"),
    }
}

fn introduction(gateway: &Gateway) -> String {
    format!(
        "A reference gateway is listening on {url} until Ctrl-C.\n\
         \n\
         As alice, who sees her own mappings and the global ones:\n\
         \n\
         export AIGATEWAY_URL={url}\n\
         export AIGATEWAY_API_KEY={alice}\n\
         \n\
         As root, an admin, who sees and changes all of them:\n\
         \n\
         export AIGATEWAY_URL={url}\n\
         export AIGATEWAY_API_KEY={root}",
        url = gateway.url(),
        alice = gateway.key("alice"),
        root = gateway.key("root"),
    )
}
