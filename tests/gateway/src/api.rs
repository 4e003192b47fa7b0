//! The answers of a gateway that nothing is wrong with, except for what is wrong with every gateway: the
//! contract's quirks are marked where they happen.

use crate::answer::Answer;
use crate::body::{Submitted, decode};
use crate::http::Request;
use crate::json::{Object, write_array};
use crate::mapping::Mapping;
use crate::providers::models_json;
use crate::route::{Action, Route, route};
use crate::store::{State, Store};
use crate::table::{Page, Refusal, Row};
use crate::time::{GO_ZERO, now_ms, rfc3339};
use crate::users::{Role, User};

const DATABASE_DOWN: &str = "dial tcp 127.0.0.1:3306: connect: connection refused";
const REDIS_DOWN: &str = "dial tcp 127.0.0.1:6379: connect: connection refused";

/// An answer, either way: what is refused is answered too.
type Answered = Result<Answer, Answer>;

/// Does what a request asks for of this target, and answers it.
pub(crate) fn answer(store: &Store, target: &str, request: &Request) -> Answer {
    match route(&request.method, target) {
        Route::Health => health(store),
        Route::Models => models(store),
        Route::Mappings(action) => mappings(store, request, action).unwrap_or_else(|refused| refused),
        Route::Redirect(location) => Answer::moved(&request.method, &location),
        Route::NotFound => not_found(),
        Route::Malformed => bad_request(400),
    }
}

/// What is said of a path that leads nowhere.
pub(crate) fn not_found() -> Answer {
    Answer::new(404, "text/plain", "404 page not found")
}

/// What Go's server says before any router sees the request.
pub(crate) fn bad_request(status: u16) -> Answer {
    let text = if status == 400 { "400 Bad Request" } else { "431 Request Header Fields Too Large" };
    Answer::new(status, "text/plain; charset=utf-8", text).closing()
}

fn health(store: &Store) -> Answer {
    let mut body = String::new();
    Object::open(&mut body)
        .text("status", "ok")
        .text("service", "aigateway")
        .text("version", env!("CARGO_PKG_VERSION"))
        .text("started_at", &rfc3339(store.started_at_ms, store.offset_minutes))
        .plain("uptime_seconds", store.started.elapsed().as_secs())
        .plain("auth_manager_enabled", true)
        .close();
    Answer::json(200, body)
}

fn models(store: &Store) -> Answer {
    let state = store.state();
    if state.database_down {
        return Answer::error(500, DATABASE_DOWN);
    }
    Answer::json(200, models_json(&state.providers))
}

fn mappings(store: &Store, request: &Request, action: Action) -> Answered {
    let user = authenticate(store, request)?;
    match action {
        Action::List(page) => list(store, user, page),
        Action::Create => create(store, user, &request.body),
        Action::Read(alias) => read(store, user, &alias),
        Action::Update(alias) => update(store, user, &alias, &request.body),
        Action::Delete(alias) => delete(store, user, &alias),
    }
}

/// Quirk: with the database down, a key that is not cached is answered like a bad one.
fn authenticate<'s>(store: &'s Store, request: &Request) -> Result<&'s User, Answer> {
    let refused = || Answer::error(401, "authentication required");
    let user = request.key().and_then(|key| store.users.with_key(key)).ok_or_else(refused)?;
    let state = &mut *store.state();
    if !state.keys.admit(&user.key, state.database_down) {
        return Err(refused());
    }
    if user.role == Role::Provider {
        return Err(Answer::error(403, "insufficient permissions"));
    }
    Ok(user)
}

fn list(store: &Store, user: &User, page: Page) -> Answered {
    let (rows, total) = {
        let state = store.state();
        require_database(&state)?;
        state.table.page(page, |mapping| may_read(user, mapping))
    };
    let mut body = String::with_capacity(rows.len() * 320 + 64);
    Object::open(&mut body)
        .with("data", |out| write_array(out, rows, |out, row| out.push_str(&row.json)))
        .plain("limit", page.limit)
        .plain("page", page.number)
        .plain("total", total)
        .close();
    Ok(Answer::json(200, body))
}

fn read(store: &Store, user: &User, alias: &str) -> Answered {
    let row = find(&store.state(), alias)?;
    if !may_read(user, &row.mapping) {
        return Err(access_denied());
    }
    Ok(Answer::json(200, row.json.as_str()))
}

/// Quirk: nothing but presence and length is checked, and `enabled` is not persisted.
fn create(store: &Store, user: &User, body: &[u8]) -> Answered {
    let submitted = decode(body).map_err(|text| Answer::error(400, &text))?;
    let mut state = store.state();
    require_database(&state)?;
    let owner_id = (user.role != Role::Admin).then(|| user.owner_id.clone());
    let row = state.table.insert(new_mapping(submitted, owner_id)).map_err(refused_by_database)?;
    committed(&state, Answer::json(201, row.json.as_str()))
}

fn new_mapping(submitted: Submitted, owner_id: Option<String>) -> Mapping {
    let now = now_ms();
    Mapping {
        id: 0,
        alias: submitted.alias,
        provider_id: submitted.provider_id,
        model_name: submitted.model_name,
        description: submitted.description,
        enabled: true,
        priority: submitted.priority,
        owner_id,
        created_at_ms: now,
        updated_at_ms: now,
    }
}

/// Quirk: the answer echoes the request instead of the row.
fn update(store: &Store, user: &User, alias: &str, body: &[u8]) -> Answered {
    let mut state = store.state();
    let row = find(&state, alias)?;
    require_write(user, &row.mapping)?;
    let submitted = decode(body).map_err(|text| Answer::error(400, &text))?;
    let echo = echo(&submitted);
    state.table.replace(&row, changed(&row.mapping, submitted)).map_err(refused_by_database)?;
    committed(&state, echo)
}

/// Quirk: zero values are not written, so that a mapping cannot be disabled and a description not cleared.
fn changed(stored: &Mapping, submitted: Submitted) -> Mapping {
    let mut mapping = Mapping {
        alias: submitted.alias,
        provider_id: submitted.provider_id,
        model_name: submitted.model_name,
        updated_at_ms: now_ms(),
        ..stored.clone()
    };
    if !submitted.description.is_empty() {
        mapping.description = submitted.description;
    }
    if submitted.enabled != Some(false) {
        mapping.enabled = true;
    }
    if submitted.priority != 0 {
        mapping.priority = submitted.priority;
    }
    mapping
}

fn echo(submitted: &Submitted) -> Answer {
    let mapping = Mapping { enabled: submitted.enabled.unwrap_or(true), ..new_mapping(submitted.clone(), None) };
    Answer::json(200, mapping.json_with_times(GO_ZERO, GO_ZERO))
}

fn delete(store: &Store, user: &User, alias: &str) -> Answered {
    let mut state = store.state();
    let row = find(&state, alias)?;
    require_write(user, &row.mapping)?;
    state.table.remove(&row);
    committed(&state, Answer::json(200, r#"{"message":"deleted"}"#))
}

/// Quirk: with the database down, nothing is found.
fn find(state: &State, alias: &str) -> Result<std::sync::Arc<Row>, Answer> {
    let row = if state.database_down { None } else { state.table.find(alias) };
    row.ok_or_else(|| Answer::error(404, "mapping not found"))
}

/// Quirk: without Redis a write is answered as failed, although its row is committed.
fn committed(state: &State, answer: Answer) -> Answered {
    if state.redis_down { Err(Answer::error(500, REDIS_DOWN)) } else { Ok(answer) }
}

fn require_database(state: &State) -> Result<(), Answer> {
    if state.database_down { Err(Answer::error(500, DATABASE_DOWN)) } else { Ok(()) }
}

fn require_write(user: &User, mapping: &Mapping) -> Result<(), Answer> {
    let own = mapping.owner_id.as_ref() == Some(&user.owner_id);
    if own || user.role == Role::Admin { Ok(()) } else { Err(access_denied()) }
}

fn may_read(user: &User, mapping: &Mapping) -> bool {
    user.role == Role::Admin || mapping.owner_id.as_ref().is_none_or(|owner| *owner == user.owner_id)
}

fn access_denied() -> Answer {
    Answer::error(403, "access denied")
}

fn refused_by_database(refusal: Refusal) -> Answer {
    Answer::error(500, &refusal.to_string())
}
