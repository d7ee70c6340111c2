//! Several commands in one body: `POST /api/batch`, and `POST /api` with a command a line, as older clients send them.
//!
//! Answers are made as the caller takes them, so a gateway holds no more of them than a piece. A caller that goes away has no more
//! commands carried out than were begun.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt, stream};
use ringway_protocol::api::{self, ApiError, BatchRequest, Command, LegacyCommand, LegacyMethod};

use super::methods::{Asked, Method};
use super::reply::{BrokenOff, Parts, Reply, json, one};
use super::{Api, Outcome, unreadable};

/// Commands of one body. Each takes some 100 bytes while it waits for its turn.
const COMMANDS: usize = 10_000;

/// Commands of one body that are carried out at once. More would push aside what others ask.
const SIDE_BY_SIDE: usize = 64;

/// Bytes of answers that are gathered before they are sent: most bodies are whole then.
const GATHERED: usize = 128 << 10;

/// Methods by their numbers, which older clients may write.
const NUMBERED: &[(i32, &str)] = &[
    (0, "publish"),
    (1, "broadcast"),
    (2, "unsubscribe"),
    (3, "disconnect"),
    (4, "presence"),
    (5, "presence_stats"),
    (6, "history"),
    (7, "history_remove"),
    (8, "channels"),
    (9, "info"),
    (10, "rpc"),
    (11, "subscribe"),
    (12, "refresh"),
    (14, "connections"),
];

/// A command on its way.
struct Step {
    /// What stands before its answer.
    before: String,
    /// That has opened the answer's object already.
    is_open: bool,
    /// What its result is called.
    name: &'static str,
    asked: Asked,
}

/// Carries out a batch.
pub(super) async fn batch(State(api): State<Api>, body: Bytes) -> Outcome {
    let BatchRequest { commands, parallel } = api::decode(&body).map_err(unreadable)?;
    let mut steps = Vec::new();
    for command in within_bounds(commands).map_err(refused)? {
        let (name, asked) = first_of(command.as_ref()).map_err(unreadable)?;
        let before = if steps.is_empty() { "" } else { "," };
        steps.push(Step { before: before.into(), is_open: false, name, asked });
    }
    let side_by_side = if parallel { SIDE_BY_SIDE } else { 1 };
    let replies = one("{\"replies\":[").chain(carry_out(api, steps, side_by_side)).chain(one("]}"));
    respond(Box::pin(replies)).await
}

/// Carries out one command after the other.
pub(super) async fn lines(State(api): State<Api>, body: Bytes) -> Outcome {
    if body.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "the body has no command\n").into_response());
    }
    let mut steps = Vec::new();
    let lines = within_bounds(api::decode_lines(&body).map_err(unreadable)?).map_err(refused)?;
    for LegacyCommand { id, method, params } in lines {
        let asked = match legacy(&method).map_err(refused)? {
            Some(method) => method.read(params.map_or("", |params| params.get()).as_bytes()),
            None => Ok(Asked::Answered(Err(ApiError::NotFound))),
        };
        let asked = asked.unwrap_or(Asked::Answered(Err(ApiError::BadRequest)));
        let line = if steps.is_empty() { "" } else { "\n" };
        let before = if id == 0 { line.to_owned() } else { format!("{line}{{\"id\":{id},") };
        steps.push(Step { before, is_open: id != 0, name: "result", asked });
    }
    respond(carry_out(api, steps, 1)).await
}

/// The first method that a command names.
fn first_of(command: Option<&Command<'_>>) -> Result<(&'static str, Asked), api::BadBody> {
    let Some(command) = command else { return Ok(("", Asked::Answered(Err(ApiError::BadRequest)))) };
    let named = Method::ALL.iter().find_map(|method| Some((*method, command.of(method.name())?)));
    match named {
        Some((method, params)) => Ok((method.name(), method.read(params.get().as_bytes())?)),
        None => Ok(("", Asked::Answered(Err(ApiError::NotFound)))),
    }
}

/// The method of a line. `None`: it is not to be had here.
fn legacy(method: &LegacyMethod<'_>) -> Result<Option<Method>, String> {
    let by_name = |name: &str| Method::ALL.iter().copied().find(|method| method.name().eq_ignore_ascii_case(name));
    match method {
        LegacyMethod::Numbered(number) => {
            Ok(NUMBERED.iter().find(|(known, _)| known == number).and_then(|(_, name)| by_name(name)))
        }
        LegacyMethod::Named(name) => match by_name(name) {
            Some(method) => Ok(Some(method)),
            None => Err(format!("there is no method {name:?}\n")),
        },
    }
}

fn refused(text: String) -> Response {
    (StatusCode::BAD_REQUEST, text).into_response()
}

fn within_bounds<T>(commands: Vec<T>) -> Result<Vec<T>, String> {
    match commands.len() {
        ..=COMMANDS => Ok(commands),
        _ => Err(format!("a body has {COMMANDS} commands at most: send them in several bodies\n")),
    }
}

/// The answers, in order. So many commands are under way at once.
fn carry_out(api: Api, steps: Vec<Step>, side_by_side: usize) -> Parts {
    let replies = stream::iter(steps).map(move |Step { before, is_open, name, asked }| {
        let api = api.clone();
        async move {
            // What is too much for now is so for this command alone.
            let reply = asked.carry_out(api).await.unwrap_or(Reply::Failed(ApiError::Internal));
            let parts = reply.into_parts(name);
            one(before).chain(if is_open { without_brace(parts) } else { parts })
        }
    });
    Box::pin(replies.buffered(side_by_side).flatten())
}

/// An object that stands in another one already.
fn without_brace(parts: Parts) -> Parts {
    let mut is_first = true;
    Box::pin(parts.map_ok(move |part| match std::mem::take(&mut is_first) {
        true => part.slice(1..),
        false => part,
    }))
}

/// Answers with all of it if it is short, else as it is made.
async fn respond(mut parts: Parts) -> Outcome {
    Ok(match gather(&mut parts).await {
        Ok((text, true)) => json(text),
        Ok((text, false)) => {
            let rest = stream::try_unfold(Some(parts), |parts| async {
                let Some(mut parts) = parts else { return Ok::<_, BrokenOff>(None) };
                let (text, is_last) = gather(&mut parts).await?;
                Ok(Some((text, (!is_last).then_some(parts))))
            });
            json(Body::from_stream(one(text).chain(rest)))
        }
        // Nothing was said yet, but commands were carried out: the caller is to see that this is no answer.
        Err(broken) => json(Body::from_stream(stream::once(async { Err::<Bytes, _>(broken) }))),
    })
}

/// The next piece, and whether it is the last.
async fn gather(parts: &mut Parts) -> Result<(Bytes, bool), BrokenOff> {
    let mut text = BytesMut::new();
    while let Some(part) = parts.try_next().await? {
        text.extend_from_slice(&part);
        if text.len() >= GATHERED {
            return Ok((text.freeze(), false));
        }
    }
    Ok((text.freeze(), true))
}
