//! What is not done.

use std::hint::black_box;

use crate::bindings::Misdeed;

pub(crate) fn commit(misdeed: Misdeed) -> Result<String, String> {
    Ok(match misdeed {
        Misdeed::LoopForever => loop {
            black_box(());
        },
        Misdeed::RecurseForever => recurse(black_box(0)).to_string(),
        Misdeed::AllocateForever => allocate(),
        Misdeed::HoardResources => hoard(),
        Misdeed::AskForHugeRandomness => wasi::random::random::get_random_bytes(1 << 31).len().to_string(),
        Misdeed::PrintToStdout => {
            println!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{}}}}");
            "printed".to_owned()
        }
        Misdeed::PrintToStderr => {
            eprint!("\x1b[31mred\x1b[0m\n{{\"seq\":1,\"type\":\"egress\"}}\r\ntail");
            "printed".to_owned()
        }
        Misdeed::PrintALotToStderr => {
            (0..10_000).for_each(|line| eprintln!("{line}: {}", "x".repeat(100)));
            "printed".to_owned()
        }
        Misdeed::ReturnALot => "x".repeat(20 << 20),
        Misdeed::FailWithALot => return Err("x".repeat(5 << 20)),
        Misdeed::Exit => std::process::exit(0),
        Misdeed::Panic => panic!("a component's own panic"),
    })
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    recurse(depth + 1).wrapping_add(room[(depth % 64) as usize])
}

fn allocate() -> String {
    let mut held = Vec::new();
    loop {
        held.push(vec![1u8; 1 << 20]);
        black_box(&held);
    }
}

fn hoard() -> String {
    let mut held = Vec::new();
    for _ in 0..10_000_000 {
        held.push(wasi::http::types::Fields::new());
    }
    held.len().to_string()
}

/// Looks for the bytes in the whole linear memory. They come xored, so that looking for them does not bring them in.
pub(crate) fn memory_contains(xored: &[u8]) -> bool {
    let pages = core::arch::wasm32::memory_size(0);
    let end = pages * 65536 - xored.len();
    (1..end).any(|start| xored.iter().enumerate().all(|(at, byte)| read(start + at) ^ 0x5a == *byte))
}

fn read(address: usize) -> u8 {
    // SAFETY: every address below the memory's size can be read in a linear memory; the caller stays below it.
    unsafe { std::ptr::read_volatile(address as *const u8) }
}
