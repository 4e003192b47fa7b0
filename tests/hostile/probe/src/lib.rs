//! A component that tries whatever it is told to.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "probe" });
}

mod misdeeds;
mod request;

use bindings::{Attempt, Guest, Misdeed, Response};

struct Probe;

impl Guest for Probe {
    fn fetch(attempt: Attempt) -> Result<Response, String> {
        request::make_all(&attempt, None)
    }

    fn other(attempt: Attempt) -> Result<Response, String> {
        request::make_all(&attempt, None)
    }

    fn fetch_with_key(attempt: Attempt, api_key: Option<String>) -> Result<Response, String> {
        request::make_all(&attempt, api_key.as_deref())
    }

    fn flood(attempt: Attempt, times: u32) -> Result<Vec<(String, u32)>, String> {
        Ok(request::flood(&attempt, times))
    }

    fn at_once(attempt: Attempt, times: u32) -> Result<Vec<String>, String> {
        request::at_once(&attempt, times)
    }

    fn decode(attempt: Attempt) -> Result<String, String> {
        let answer = request::make_all(&attempt, None)?;
        Ok(answer.body.bytes().map(|byte| char::from(byte.wrapping_sub(1))).collect())
    }

    fn environment() -> Vec<(String, String)> {
        let arguments = wasi::cli::environment::get_arguments().into_iter().map(|value| ("argument".to_owned(), value));
        wasi::cli::environment::get_environment().into_iter().chain(arguments).collect()
    }

    fn search_memory(attempt: Attempt, xored: Vec<u8>) -> bool {
        // The answer's bytes are in this memory from here on, and stay there when they are freed.
        let answer = request::make_all(&attempt, None);
        let found = misdeeds::memory_contains(&xored);
        drop(answer);
        found
    }

    fn misbehave(misdeed: Misdeed) -> Result<String, String> {
        misdeeds::commit(misdeed)
    }

    fn well() -> bool {
        true
    }
}

bindings::export!(Probe with_types_in bindings);
