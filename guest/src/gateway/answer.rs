//! An answer of the gateway, and what it means when it is not the one that was hoped for.

use super::Gateway;
use crate::bindings::FailureKind;
use crate::failure::{Problem, quoted};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a request is about: the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The built-in models, which are public.
    Models,
    /// All mappings.
    Mappings,
    /// One mapping.
    Mapping,
}

/// The status and the body of an answer, whatever they are.
pub(super) struct Answer {
    about: About,
    status: u16,
    body: Vec<u8>,
}

/// What the gateway's own errors look like.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

impl Answer {
    pub(super) fn new(about: About, status: u16, body: Vec<u8>) -> Self {
        Self { about, status, body }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn size(&self) -> usize {
        self.body.len()
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The text of one of the gateway's own errors.
    pub(super) fn error(&self) -> Option<String> {
        self.read().map(|ErrorBody { error }| error)
    }
}

impl Gateway {
    /// The value that a successful answer carries.
    pub(super) fn value<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Problem> {
        if !answer.is_success() {
            return Err(self.refusal(answer));
        }
        answer.read().ok_or_else(|| self.no_protocol(answer))
    }

    /// Why an answer that is no success is none.
    pub(super) fn refusal(&self, answer: &Answer) -> Problem {
        use FailureKind::{GatewayError, Unavailable};
        if let Some(problem) = self.no_access(answer) {
            return problem;
        }
        let said = self.said(answer);
        let (kind, happened, next) = match answer.status {
            200..=299 => return self.no_protocol(answer),
            300..=303 | 305..=399 => (
                GatewayError,
                format!("the gateway at {} answered {said}, a redirect, which is never followed", self.base),
                "Set AIGATEWAY_URL to the address that answers itself",
            ),
            404 => (
                GatewayError,
                format!("the server at {} does not know this route: it answered {said}", self.base),
                "Check that AIGATEWAY_URL is the address of an AIGateway, with its path if it has one",
            ),
            429 => (
                Unavailable,
                format!("the gateway is asked too often at present: it answered {said}"),
                "Wait a while, and try again",
            ),
            408 | 502..=504 => (
                Unavailable,
                format!("the gateway answered {said}"),
                "The gateway, or a proxy before it, is down or busy: try again later",
            ),
            _ => (
                GatewayError,
                format!("the gateway answered {said}"),
                "Look into the gateway's log, or ask who runs it",
            ),
        };
        Problem::new(kind, happened, next)
    }

    /// Why the key does not lead to what the request is about, if that is what the answer says.
    fn no_access(&self, answer: &Answer) -> Option<Problem> {
        use FailureKind::{Forbidden, NotFound, Unauthenticated};
        let error = answer.error().unwrap_or_default();
        let (kind, happened, next) = match (answer.status, answer.about) {
            (401, About::Mappings | About::Mapping) => (
                Unauthenticated,
                format!("the gateway does not accept the API key: it answered {}", self.said(answer)),
                "Check AIGATEWAY_API_KEY, or the api_key that was passed; a gateway whose database is down answers the same",
            ),
            (403, About::Mapping) if error == "access denied" => return Some(Problem::anothers()),
            (403, About::Mappings | About::Mapping) => (
                Forbidden,
                format!("the API key's user may not do this: the gateway answered {}", self.said(answer)),
                "Use the key of a user who may manage model mappings",
            ),
            (404, About::Mapping) if error.contains("mapping") => (
                NotFound,
                "there is no such mapping".to_owned(),
                "Call list_models to see which aliases exist; if that fails too, the gateway's database is down",
            ),
            _ => return None,
        };
        Some(Problem::new(kind, happened, next))
    }

    fn no_protocol(&self, answer: &Answer) -> Problem {
        let what = match answer.body.trim_ascii_start().first() {
            None => "nothing",
            Some(b'<') => "an HTML page",
            Some(_) => "something that is not its protocol",
        };
        Problem::new(
            FailureKind::GatewayError,
            format!("the gateway at {} answered {} with {what}", self.base, answer.status),
            "Check that AIGATEWAY_URL is the address of an AIGateway",
        )
    }

    /// The status and what came with it, fit for a message.
    fn said(&self, answer: &Answer) -> String {
        let status = answer.status;
        let text = match (answer.error(), answer.body.trim_ascii()) {
            (Some(error), _) => error,
            (None, []) => return status.to_string(),
            (None, [b'<', ..]) => return format!("{status} (an HTML page)"),
            (None, text) => String::from_utf8_lossy(text).into_owned(),
        };
        format!("{status} ({})", quoted(&self.key.removed_from(&text)))
    }
}
