//! Requests of any shape.

use wasi::http::outgoing_handler;
use wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

use crate::bindings::{Attempt, Header, Response};

/// Makes the request as often as it says; the last one counts.
pub(crate) fn make_all(attempt: &Attempt, key: Option<&str>) -> Result<Response, String> {
    for _ in 1..attempt.repeat.unwrap_or(1) {
        make(attempt, key)?;
    }
    make(attempt, key)
}

/// Makes the request many times, and counts how the attempts ended.
pub(crate) fn flood(attempt: &Attempt, times: u32) -> Vec<(String, u32)> {
    let mut counts: Vec<(String, u32)> = Vec::new();
    for _ in 0..times {
        let ended = make(attempt, None).map_or_else(|error| error, |response| response.status.to_string());
        match counts.iter_mut().find(|(known, _)| *known == ended) {
            Some((_, count)) => *count += 1,
            None => counts.push((ended, 1)),
        }
    }
    counts
}

/// Starts all of the requests before it waits for any.
pub(crate) fn at_once(attempt: &Attempt, times: u32) -> Result<Vec<String>, String> {
    let started: Vec<_> = (0..times).map(|_| start(attempt, None)).collect::<Result<_, _>>()?;
    let bodies: Vec<_> = started.into_iter().map(|(answer, body)| (answer, write_body(attempt, body))).collect();
    let ended = bodies.into_iter().map(|(answer, written)| match finish(answer, written) {
        Ok(response) => response.status.to_string(),
        Err(error) => error,
    });
    Ok(ended.collect())
}

fn make(attempt: &Attempt, key: Option<&str>) -> Result<Response, String> {
    let (answer, body) = start(attempt, key)?;
    let written = write_body(attempt, body);
    finish(answer, written)
}

fn start(attempt: &Attempt, key: Option<&str>) -> Result<(FutureIncomingResponse, OutgoingBody), String> {
    let headers = fields(attempt.headers.as_deref().unwrap_or_default())?;
    if let Some(key) = key {
        headers.append("x-api-key", key.as_bytes()).map_err(|error| format!("header: {error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(&method(&attempt.method)).map_err(|()| "method: refused by WASI")?;
    request.set_scheme(attempt.scheme.as_deref().map(scheme).as_ref()).map_err(|()| "scheme: refused by WASI")?;
    request.set_authority(attempt.authority.as_deref()).map_err(|()| "authority: refused by WASI")?;
    request.set_path_with_query(attempt.path.as_deref()).map_err(|()| "path: refused by WASI")?;
    let body = request.body().map_err(|()| "body: refused by WASI")?;
    let answer = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    Ok((answer, body))
}

fn finish(answer: FutureIncomingResponse, written: Result<(), String>) -> Result<Response, String> {
    answer.subscribe().block();
    let response = answer.get().ok_or("no answer")?.map_err(|()| "answer taken")?;
    let response = response.map_err(|error| format!("{error:?}"))?;
    written?;
    read(&response)
}

fn method(text: &str) -> Method {
    match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn scheme(text: &str) -> Scheme {
    match text {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}

fn fields(headers: &[Header]) -> Result<Fields, String> {
    let fields = Fields::new();
    for header in headers {
        fields.append(&header.name, header.value.as_bytes()).map_err(|error| format!("header: {error:?}"))?;
    }
    Ok(fields)
}

fn write_body(attempt: &Attempt, body: OutgoingBody) -> Result<(), String> {
    if let Some(text) = &attempt.body {
        let stream = body.write().map_err(|()| "body: no stream")?;
        for _ in 0..attempt.times.unwrap_or(1) {
            for part in text.as_bytes().chunks(4096) {
                stream.blocking_write_and_flush(part).map_err(|error| format!("body: {error:?}"))?;
            }
        }
    }
    let trailers = attempt.trailers.as_deref().map(fields).transpose()?;
    OutgoingBody::finish(body, trailers).map_err(|error| format!("body: {error:?}"))
}

fn read(response: &IncomingResponse) -> Result<Response, String> {
    let headers = response.headers().entries().into_iter();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let headers = headers.map(|(name, value)| Header { name, value: text(value) }).collect();
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(1 << 20) {
        bytes.extend(chunk);
    }
    let length = bytes.len() as u64;
    bytes.truncate(100_000);
    Ok(Response { status: response.status(), headers, body: text(bytes), length })
}
