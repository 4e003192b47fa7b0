//! Every fault of a gateway, crossed with every request of every tool.
//!
//! For every pair: what the tool says is true, it says it before the deadline, nothing is written twice, and the next
//! calls work. What it says is in `golden/hostile_gateway.txt`, the crossing as a table.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reference_gateway::{Answer, Fault, Gateway, Mapping, NewMapping, What, When};
use serde_json::{Value, json};

use crate::support::grants::IMPATIENT;
use crate::support::{Called, Client, ERAS, Start, assert_golden};
use crate::tools::{MAPPING, MAPPINGS, MODELS};

mod going_away;
mod racing;
mod words;

/// What a call may take with the limits of these tests: `call_seconds`.
const DEADLINE: Duration = Duration::from_secs(5);

/// The further requests of a longer list, and of a change of alias.
const PAGE_2: &str = "/api/v1/model-mappings?page=2";
const RENAMED: &str = "/api/v1/model-mappings/renamed";

/// What a list has to have for a second page.
const MORE_THAN_A_PAGE: usize = 1001;

/// How many faults are tried at the same time. Most of the time is spent waiting for silent gateways.
const AT_ONCE: usize = 8;

/// What a tool said about its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Done, and nothing else.
    Done,
    /// Done, with a warning.
    Warned,
    /// Failed, so that it was not done.
    Failed,
    /// Failed, and whether it was done is not known.
    Unknown,
}

/// A request of a tool that something goes wrong with.
struct Place {
    name: &'static str,
    tool: &'static str,
    arguments: Value,
    when: When,
    /// Whether it is the look at what a write has done.
    is_look: bool,
}

/// The requests of each tool. A read goes wrong as often as it is asked for, a write is sent only once.
fn places() -> Vec<Place> {
    let create = json!({ "alias": "new", "provider_id": "openai", "model_name": "gpt-4o" });
    let update = json!({ "alias": "my-gpt", "model_name": "gpt-4-turbo" });
    let rename = json!({ "alias": "my-gpt", "new_alias": "renamed" });
    let delete = json!({ "alias": "my-gpt" });
    let place = |name: &'static str, tool, arguments: &Value, when: When| Place {
        name,
        tool,
        arguments: arguments.clone(),
        when,
        is_look: name.ends_with("look"),
    };
    vec![
        place("list models", "list_models", &json!({}), When::get(MODELS).always()),
        place("list page", "list_models", &json!({}), When::get(MAPPINGS).always()),
        place("list page-2", "list_models", &json!({}), When::get(PAGE_2).always()),
        place("create POST", "create_mapping", &create, When::post(MAPPINGS)),
        place("create look", "create_mapping", &create, When::get(MAPPING).always()),
        place("create models", "create_mapping", &create, When::get(MODELS).always()),
        place("update read", "update_mapping", &update, When::get(MAPPING).always()),
        place("update PUT", "update_mapping", &update, When::put(MAPPING)),
        place("update look", "update_mapping", &update, When::get(MAPPING).nth(2).always()),
        place("update models", "update_mapping", &update, When::get(MODELS).always()),
        place("rename PUT", "update_mapping", &rename, When::put(MAPPING)),
        place("rename look", "update_mapping", &rename, When::get(RENAMED).always()),
        place("delete read", "delete_mapping", &delete, When::get(MAPPING).always()),
        place("delete DELETE", "delete_mapping", &delete, When::delete(MAPPING)),
        place("delete look", "delete_mapping", &delete, When::get(MAPPING).nth(2).always()),
    ]
}

fn faults() -> Vec<(&'static str, What)> {
    // The head of an answer has some 120 bytes, the shortest body 23.
    let (in_head, in_body) = (20, 130);
    let answer = |status, body: &str| What::Answer(Answer::json(status, body));
    let text = |status, text: &'static str| What::Answer(Answer::new(status, "text/plain", text));
    let redirect = |status| What::Answer(Answer::redirect(status, "/api/v1/model-mappings"));
    let headers = |name: &str, value: String| What::ExtraHeaders(vec![(name.to_owned(), value)]);
    // Each is an answer to any request, but for what is wrong with it.
    let numbers = body(
        r#""alias":5,"provider_id":"openai","model_name":"gpt-4o""#,
        r#""providers":[{"id":1,"name":2,"models":[3]}],"total":"3""#,
    );
    let twice = body(
        r#""alias":"a","provider_id":"openai","model_name":"gpt-4o","alias":"b""#,
        r#""providers":[],"providers":[],"total":1,"total":1"#,
    );
    let no_utf_8 = bytes_of(&body(
        r#""alias":"my-gpt","provider_id":"openai","model_name":"BROKEN""#,
        r#""providers":[{"id":"openai","name":"BROKEN","models":["gpt-4o"]}],"total":1"#,
    ));
    vec![
        ("closed before the answer", What::Close),
        ("closed before the answer, done", What::CloseAfterPerforming),
        ("closed within the head", What::CloseWithin(in_head)),
        ("closed within the body", What::CloseWithin(in_body)),
        ("closed after the answer", What::CloseAfterAnswer),
        ("closed when used again", What::CloseOnReuse),
        ("reset before the answer", What::Reset),
        ("reset before the answer, done", What::ResetAfterPerforming),
        ("reset within the head", What::ResetWithin(in_head)),
        ("reset within the body", What::ResetWithin(in_body)),
        ("reset after the answer", What::ResetAfterAnswer),
        ("silent", What::Silence),
        ("silent, done", What::SilenceAfterPerforming),
        ("silent within the head", What::SilenceWithin(in_head)),
        ("silent within the body", What::SilenceWithin(in_body)),
        ("one byte per second", What::Drip(Duration::from_secs(1))),
        ("length too long", What::LengthTooLong(10)),
        ("length too short", What::LengthTooShort(5)),
        ("truncated chunk", What::TruncatedChunk),
        ("endless body", What::EndlessBody),
        ("10 MB", What::Answer(Answer::big(10))),
        ("10 MB, done", What::AnswerAfterPerforming(Answer::big(10))),
        ("no HTTP", What::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        ("compressed", headers("Content-Encoding", "gzip".into())),
        ("header of 40 kB", headers("X-Filler", "x".repeat(40_000))),
        ("200 HTML", What::Answer(Answer::html(200))),
        ("200 empty", What::Answer(Answer::empty(200))),
        ("200 null", answer(200, "null")),
        ("200 array for object", answer(200, "[]")),
        ("200 object without fields", answer(200, "{}")),
        ("200 numbers for strings", answer(200, &numbers)),
        ("200 every key twice", answer(200, &twice)),
        ("200 100,000 brackets", answer(200, &"[".repeat(100_000))),
        ("200 no UTF-8", What::Answer(Answer::json(200, no_utf_8))),
        ("204", What::Answer(Answer::empty(204))),
        ("301", redirect(301)),
        ("302", redirect(302)),
        ("303", redirect(303)),
        ("304", What::Answer(Answer::empty(304))),
        ("307", redirect(307)),
        ("308", redirect(308)),
        ("400", answer(400, r#"{"error":"unexpected EOF"}"#)),
        ("401", answer(401, r#"{"error":"authentication required"}"#)),
        ("401 from then on", What::RevokeKey),
        ("403", answer(403, r#"{"error":"insufficient permissions"}"#)),
        ("403 HTML", What::Answer(Answer::html(403))),
        ("404 text", text(404, "404 page not found")),
        ("408 text", text(408, "request timeout")),
        ("429", text(429, "slow down")),
        ("500", answer(500, r#"{"error":"dial tcp: connection refused"}"#)),
        ("500, done", What::AnswerAfterPerforming(Answer::json(500, r#"{"error":"dial tcp: connection refused"}"#))),
        ("500 with the key", What::EchoKey),
        ("502 HTML", What::Answer(Answer::html(502))),
        ("502 HTML, done", What::AnswerAfterPerforming(Answer::html(502))),
        ("503", What::Answer(Answer::empty(503))),
        ("504 text", text(504, "upstream timed out")),
    ]
}

/// A mapping that is a list of itself as well, and of models.
fn body(mapping: &str, list: &str) -> String {
    let mapping = format!(r#""id":1,{mapping},"description":null,"enabled":true,"owner_id":"alice""#);
    format!(r#"{{{mapping},"data":[{{{mapping}}}],{list}}}"#)
}

/// The text with bytes that are no UTF-8 in it.
fn bytes_of(text: &str) -> Vec<u8> {
    text.split("BROKEN").map(str::as_bytes).collect::<Vec<_>>().join(&0xff)
}

#[test]
fn a_body_that_answers_everything_is_accepted_by_every_tool() {
    let whole = body(r#""alias":"my-gpt","provider_id":"openai","model_name":"gpt-4o""#, r#""providers":[],"total":1"#);
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(ERAS[0]);
    for place in places().iter().filter(|place| !place.is_look) {
        gateway.clear_mappings();
        gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
        gateway.clear_faults();
        gateway.fault(Fault::new(place.when.clone(), What::Answer(Answer::json(200, whole.clone().into_bytes()))));
        let called = client.call(place.tool, place.arguments.clone());
        let text = called.result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(!text.contains("is not its protocol"), "{}: {text}", place.name);
    }
}

#[test]
fn whatever_goes_wrong_with_a_request_the_answer_is_true_and_the_server_lives() {
    let (faults, places) = (faults(), places());
    let next = AtomicUsize::new(0);
    let mut rows: Vec<_> = std::thread::scope(|scope| {
        let work = || {
            let mut rows = Vec::new();
            while let at = next.fetch_add(1, Ordering::Relaxed)
                && let Some((name, what)) = faults.get(at)
            {
                rows.push((at, row(name, what, &places, at)));
            }
            rows
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("every pair is as it should be")).collect()
    });
    rows.sort_by_key(|(at, _)| *at);
    let (rows, words): (Vec<Vec<_>>, Vec<Vec<_>>) = rows.into_iter().map(|(_, row)| row.into_iter().unzip()).unzip();
    assert_golden("hostile_gateway.txt", &table(&faults, &places, &rows));
    words::assert_readme_quotes(&words.concat());
}

/// What is said when this goes wrong with each of the requests, all of one server; and in which words.
fn row(name: &str, what: &What, places: &[Place], number: usize) -> Vec<(Said, String)> {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").limits(IMPATIENT).connect(ERAS[number % ERAS.len()]);
    places
        .iter()
        .map(|place| {
            let context = format!("{name} at {}", place.name);
            let (said, words) = try_pair(&gateway, &mut client, what, place, &context);
            try_next_calls(&gateway, &mut client, &context);
            (said, words)
        })
        .collect()
}

fn try_pair(gateway: &Gateway, client: &mut Client, what: &What, place: &Place, context: &str) -> (Said, String) {
    gateway.clear_mappings();
    gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
    if place.name == "list page-2" {
        (1..MORE_THAN_A_PAGE).for_each(|at| _ = gateway.insert(NewMapping::owned_by("alice", &format!("filler-{at}"))));
    }
    gateway.clear_requests();
    gateway.fault(Fault::new(place.when.clone(), what.clone()));

    let start = Instant::now();
    let called = client.call(place.tool, place.arguments.clone());

    assert!(start.elapsed() < DEADLINE, "{context}: {called:?} comes too late");
    let said = said(&called, context);
    match said {
        Said::Done | Said::Warned => assert!(is_done(place.tool, gateway, &called.answer()), "{context}: {called:?}"),
        Said::Failed if place.tool == "list_models" => {}
        Said::Failed => assert_eq!(effect(place.tool, &gateway.mappings()), None, "{context}: {called:?}"),
        Said::Unknown => assert!(place.is_look, "{context}: it could have looked: {called:?}"),
    }
    let writes = gateway.requests().iter().filter(|request| request.method != "GET").count();
    assert!(writes <= 1, "{context}: written {writes} times");
    assert_asked_once_more(gateway, place, context);
    (said, words::of(&called, gateway))
}

/// A read that breaks is asked for once more; if it broke on a connection that was used before, it was sent over a new one
/// as well. A change reads its mapping before and after.
fn assert_asked_once_more(gateway: &Gateway, place: &Place, context: &str) {
    let mut asked = HashMap::<String, usize>::new();
    for request in gateway.requests().iter().filter(|request| request.method == "GET") {
        *asked.entry(request.target.clone()).or_default() += 1;
    }
    let reads = |target: &str| if target.starts_with(MAPPING) && place.tool != "create_mapping" { 2 } else { 1 };
    for (target, times) in asked {
        assert!(times <= 3 * reads(&target), "{context}: {target} is asked for {times} times");
    }
}

fn said(called: &Called, context: &str) -> Said {
    if called.result["isError"] == true {
        let failure = called.failure();
        assert!(!failure.starts_with("Failed to call "), "{context}: the sandbox ended it: {failure}");
        return if failure.contains(" is unknown: ") { Said::Unknown } else { Said::Failed };
    }
    if called.answer().get("warnings").is_some() { Said::Warned } else { Said::Done }
}

/// Whether what a tool answered as done is how the gateway stores it.
fn is_done(tool: &str, gateway: &Gateway, answer: &Value) -> bool {
    if tool == "list_models" {
        let mappings = gateway.mappings().len();
        return answer["total"] == 21 + mappings && (mappings > 1 || answer["custom_mappings"][0]["alias"] == "my-gpt");
    }
    effect(tool, &gateway.mappings()).is_some_and(|(alias, model)| {
        answer["alias"] == alias && answer["model_name"] == model && answer["scope"] == "yours"
    })
}

/// What the tool has done to the mappings, if it has: the alias and the model that it answers with then.
fn effect(tool: &str, mappings: &[Mapping]) -> Option<(&'static str, &'static str)> {
    let model_of = |alias: &str| mappings.iter().find(|row| row.alias == alias).map(|row| row.model_name.as_str());
    match tool {
        "create_mapping" => (model_of("new") == Some("gpt-4o")).then_some(("new", "gpt-4o")),
        "update_mapping" if model_of("renamed").is_some() => Some(("renamed", "gpt-4o")),
        "update_mapping" => (model_of("my-gpt") == Some("gpt-4-turbo")).then_some(("my-gpt", "gpt-4-turbo")),
        _ => model_of("my-gpt").is_none().then_some(("my-gpt", "gpt-4o")),
    }
}

/// When nothing goes wrong any more, everything works at once, and no connection is left that is still spoilt.
fn try_next_calls(gateway: &Gateway, client: &mut Client, context: &str) {
    gateway.clear_faults();
    gateway.restore_key("alice");
    let total = 21 + gateway.mappings().len();
    let listed = client.call("list_models", json!({}));
    assert_eq!(listed.answer()["total"], total, "after {context}");
    let create = json!({ "alias": "next", "provider_id": "openai", "model_name": "gpt-4o" });
    let created = client.call("create_mapping", create).answer();
    assert!(created.get("warnings").is_none(), "after {context}: {created}");
}

fn table(faults: &[(&str, What)], places: &[Place], rows: &[Vec<Said>]) -> String {
    let mut table = String::from(
        "What each tool says when something goes wrong with one of its requests.\n\n\
         ok       as if nothing had gone wrong\n\
         warning  done, with a warning that says what went wrong\n\
         no       failed, and nothing was done\n\
         unknown  failed, and whether it was done could not be found out\n\n",
    );
    let mut line = |first: &str, cells: &[&str]| {
        let cells: String = cells.iter().map(|cell| format!(" | {cell:<7}")).collect();
        writeln!(table, "{}", format!("{first:<30}{cells}").trim_end()).expect("a string takes everything");
    };
    let words = |index: usize| -> Vec<&str> {
        places.iter().map(|place| place.name.split(' ').nth(index).expect("a name has two words")).collect()
    };
    line("", &words(0));
    line("", &words(1));
    for ((name, _), row) in faults.iter().zip(rows) {
        let cell = |said: &Said| match said {
            Said::Done => "ok",
            Said::Warned => "warning",
            Said::Failed => "no",
            Said::Unknown => "unknown",
        };
        line(name, &row.iter().map(cell).collect::<Vec<_>>());
    }
    table
}
