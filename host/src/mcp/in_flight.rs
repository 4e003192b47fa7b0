//! The requests under way.

use std::collections::HashMap;

use rmcp::model::{ProgressToken, RequestId};

/// Which requests are being answered. Towards the SDK each has a number that is never used again: a client may use
/// the id of a cancelled request for another one, and must not get the answer to the first.
#[derive(Default)]
pub(super) struct InFlight {
    last_number: i64,
    /// The client's ids that are taken.
    taken: HashMap<RequestId, Taken>,
    /// Requests whose answer has not begun.
    unanswered: HashMap<RequestId, Unanswered>,
    bytes: usize,
}

struct Unanswered {
    /// The client's id.
    id: RequestId,
    /// What the client wants to be told of its progress by.
    token: Option<ProgressToken>,
}

struct Taken {
    number: RequestId,
    /// The size of the request.
    bytes: usize,
}

impl InFlight {
    /// Takes an id, and gives the number to use for it and for its progress token; none if the id is in use.
    pub(super) fn start(&mut self, id: &RequestId, token: Option<ProgressToken>, bytes: usize) -> Option<RequestId> {
        if self.taken.contains_key(id) {
            return None;
        }
        self.last_number += 1;
        let number = RequestId::Number(self.last_number);
        self.taken.insert(id.clone(), Taken { number: number.clone(), bytes });
        self.unanswered.insert(number.clone(), Unanswered { id: id.clone(), token });
        self.bytes += bytes;
        Some(number)
    }

    /// Frees the id of a cancelled request, and gives its number; none if its answer is already on the way.
    pub(super) fn cancel(&mut self, id: &RequestId) -> Option<RequestId> {
        let number = self.taken.get(id)?.number.clone();
        self.unanswered.remove(&number)?;
        self.free(id);
        Some(number)
    }

    /// The id to answer to, which stays taken until that is written; none if the request was cancelled.
    pub(super) fn answer(&mut self, number: &RequestId) -> Option<RequestId> {
        Some(self.unanswered.remove(number)?.id)
    }

    /// The client's progress token of a request; none once its answer has begun, or it was cancelled.
    pub(super) fn token(&self, number: &RequestId) -> Option<ProgressToken> {
        self.unanswered.get(number)?.token.clone()
    }

    /// Frees the id of a request whose answer is written.
    pub(super) fn free(&mut self, id: &RequestId) {
        self.bytes -= self.taken.remove(id).map_or(0, |taken| taken.bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.taken.len()
    }

    /// The size of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_until_its_answer_is_written_or_it_is_cancelled() {
        let mut requests = InFlight::default();
        let id = RequestId::String("a".into());

        let first = requests.start(&id, None, 10).unwrap();
        assert_eq!(requests.start(&id, None, 10), None);
        assert_eq!(requests.cancel(&id), Some(first.clone()));
        assert_eq!(requests.answer(&first), None);

        let second = requests.start(&id, None, 10).unwrap();
        assert_ne!(first, second);
        assert_eq!(requests.answer(&second), Some(id.clone()));
        assert_eq!(requests.cancel(&id), None, "its answer is on the way");
        assert_eq!(requests.start(&id, None, 10), None);
        requests.free(&id);
        assert!(requests.is_empty());
        assert_eq!(requests.bytes(), 0);
    }

    #[test]
    fn a_progress_token_is_known_until_the_request_is_answered_or_cancelled() {
        let mut requests = InFlight::default();
        let token = Some(ProgressToken(RequestId::String("t".into())));
        let [answered, cancelled] = ["a", "b"].map(|id| RequestId::String(id.into()));
        let first = requests.start(&answered, token.clone(), 1).unwrap();
        let second = requests.start(&cancelled, token.clone(), 1).unwrap();
        let third = requests.start(&RequestId::Number(1), None, 1).unwrap();
        assert_eq!([&first, &second, &third].map(|number| requests.token(number)), [token.clone(), token, None]);

        requests.answer(&first);
        requests.cancel(&cancelled);

        assert_eq!([first, second].map(|number| requests.token(&number)), [None, None]);
    }
}
