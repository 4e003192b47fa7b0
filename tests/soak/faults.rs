//! What goes wrong at the gateway.

use std::time::Duration;

use reference_gateway::{Answer, Fault, Gateway, What, When};

use crate::random::Random;

/// How many faults wait for their request at the most: the more, the fewer calls go well.
const MOST_WAITING: usize = 3;

/// Adds a fault, unless there are enough.
pub(crate) fn add(gateway: &Gateway, random: &mut Random) {
    if gateway.faults_to_come() < MOST_WAITING {
        gateway.fault(Fault::new(when(random), what(random)));
    }
}

/// The longest answer that a tool reads to its end.
pub(crate) fn long_answer() -> What {
    What::Answer(Answer::json(200, "[".repeat(100_000)))
}

fn when(random: &mut Random) -> When {
    let mappings = "/api/v1/model-mappings";
    let when = match random.below(6) {
        0 => When::get("/v1/models"),
        1 => When::get(mappings),
        2 => When::post(mappings),
        3 => When::put(mappings),
        4 => When::delete(mappings),
        _ => When::any(),
    };
    // A GET is sent again when its connection broke: only the second break shows.
    when.nth(1 + random.below(3)).times(1 + random.below(2))
}

fn what(random: &mut Random) -> What {
    let in_head_or_body = 20 + 110 * random.below(2);
    let error = || Answer::json(500, r#"{"error":"dial tcp: connection refused"}"#);
    match random.below(100) {
        // These take a second each.
        0 => What::Silence,
        1 => What::SilenceAfterPerforming,
        2 => What::SilenceWithin(in_head_or_body),
        3 => What::Drip(Duration::from_millis(100)),
        4 => What::Answer(Answer::big(10)),
        5 => What::EndlessBody,
        6..20 => What::Delay(Duration::from_millis(5)),
        20..26 => What::Close,
        26..32 => What::CloseAfterPerforming,
        32..38 => What::CloseWithin(in_head_or_body),
        38..46 => What::CloseAfterAnswer,
        46..52 => What::CloseOnReuse,
        52..56 => What::Reset,
        56..60 => What::ResetAfterPerforming,
        60..64 => What::ResetWithin(in_head_or_body),
        64..68 => What::ResetAfterAnswer,
        68..71 => What::LengthTooLong(10),
        71..74 => What::LengthTooShort(5),
        74..77 => What::TruncatedChunk,
        77..80 => What::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        80..83 => What::Answer(Answer::html(502)),
        83..86 => What::AnswerAfterPerforming(Answer::html(504)),
        86..89 => What::Answer(error()),
        89..92 => What::AnswerAfterPerforming(error()),
        92..94 => long_answer(),
        94..96 => What::Answer(Answer::json(200, b"{\"alias\":\"\xff\"}".to_vec())),
        96..98 => What::Answer(Answer::redirect(307, "/api/v1/model-mappings")),
        98 => What::Answer(Answer::new(429, "text/plain", "slow down")),
        _ => What::EchoKey,
    }
}
