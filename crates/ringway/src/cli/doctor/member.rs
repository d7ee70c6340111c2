//! A running member, as it answers over HTTP: how it is, which members it lists, and whether its clock is ours.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ringway_http::{Answer, Site};
use serde_json::Value;
use tokio::time::timeout;

use super::super::members::{Member, Members};
use super::finding::{Finding, What};

/// Longest time for one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// A change of the view has reached every member long before.
const AGAIN: Duration = Duration::from_secs(1);
/// More gateways are not asked for their epoch: the answer would be the same.
const GATEWAYS: usize = 16;
/// Clocks that differ by more make times in logs of two machines hard to compare, and tokens expire early or late.
const APART: f64 = 1.0;

/// How a member says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) member: String,
    pub(super) status: String,
    pub(super) why: Vec<String>,
    pub(super) epoch: u64,
}

/// Whom to ask, and with what.
pub(super) struct Whom<'a> {
    pub(super) url: &'a str,
    pub(super) ca: Option<&'a Path>,
    pub(super) token: Option<&'a str>,
}

/// An answer, and when it was asked for and had, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) json: Value,
    answer: Answer,
    asked: f64,
    had: f64,
}

/// Asks for one page, within [`PATIENCE`].
pub(super) async fn fetched(url: &str, ca: Option<&Path>, path: &str, token: Option<&str>) -> Result<Fetched, String> {
    // A page's address holds a token behind this, and errors name the address.
    let url = url.split('#').next().unwrap_or(url);
    let asked = now();
    let exchange = async {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        Site::resolve(url, ca).await?.call(Method::GET, path, &headers, Bytes::new()).await
    };
    let answer = match timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.map_err(|why| format!("{why:#}"))?,
        Err(_) => return Err(format!("no answer to {path} within {} s", PATIENCE.as_secs())),
    };
    Ok(Fetched { json: answer.json().unwrap_or_default(), answer, asked, had: now() })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// How the member at this address says that it is.
pub(super) async fn health(url: &str, ca: Option<&Path>) -> Result<Told, String> {
    told(&fetched(url, ca, "/health", None).await?.json)
}

fn told(json: &Value) -> Result<Told, String> {
    let word = |name: &str| json[name].as_str().map(str::to_owned);
    let why = json["why"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    match (word("member"), word("status"), json["epoch"].as_u64()) {
        (Some(member), Some(status), Some(epoch)) => Ok(Told { member, status, why, epoch }),
        _ => Err("what answers there is no member of ringway, or its health is on its internal port".to_owned()),
    }
}

/// All that is to be said of it.
pub(super) async fn look(whom: &Whom<'_>) -> Vec<Finding> {
    let fetched = match fetched(whom.url, whom.ca, "/health", None).await {
        Ok(fetched) => fetched,
        Err(why) => return vec![no_answer(&why)],
    };
    let told = match told(&fetched.json) {
        Ok(told) => told,
        Err(why) => return vec![no_answer(&why)],
    };
    let mut found = vec![well(&told)];
    found.extend(fetched.answer.header("date").map(|date| clock(date, fetched.asked, fetched.had)));
    found.extend(metrics(whom).await);
    found.extend(cluster(whom, &told).await);
    found
}

fn no_answer(why: &str) -> Finding {
    let advice = "Start the member, or give --url the address where its health is: its internal port, if it has one.";
    Finding::fault(What::Health, format!("The member does not tell how it is: {why}."), advice)
}

fn well(told: &Told) -> Finding {
    let seen = format!("{} says {:?} at epoch {}.", told.member, told.status, told.epoch);
    let why = told.why.join("; ");
    match told.status.as_str() {
        "ok" => Finding::ok(What::Health, seen),
        "degraded" => Finding::warning(
            What::Health,
            seen,
            format!("Everything can be published, and something is missing: {why}."),
        ),
        "starting" => Finding::warning(What::Health, seen, format!("It waits: {why}.")),
        _ => Finding::fault(What::Health, seen, format!("Something cannot be published: {why}.")),
    }
}

/// The member's clock tells whole seconds. Asked for at `asked`, the answer was had at `had`.
fn clock(date: &str, asked: f64, had: f64) -> Finding {
    let Ok(told) = rfc2822::parse(date).map(|told| told.timestamp()) else {
        return Finding::note(
            What::Clock,
            format!("The member's time {date:?} cannot be read."),
            "Compare the clocks by hand.",
        );
    };
    let apart = apart(told, asked, had);
    if apart > APART {
        return Finding::warning(
            What::Clock,
            format!("The member's clock and the one here are {apart:.0} s apart or more."),
            "Have NTP set the clocks of all machines (timedatectl, chronyc tracking): tokens expire by them, and logs are compared by them.",
        );
    }
    Finding::ok(What::Clock, "The member's clock is the one here, to the second.")
}

/// By how many seconds the clocks differ at the least: the time that was told is somewhere in its second.
fn apart(told: Timestamp, asked: f64, had: f64) -> f64 {
    let first = told.as_second() as f64;
    (first - had).max(asked - (first + 1.0)).max(0.0)
}

async fn metrics(whom: &Whom<'_>) -> Vec<Finding> {
    match fetched(whom.url, whom.ca, "/metrics", None).await {
        Ok(Fetched { answer, .. }) if answer.status == 200 => {
            let builds = answer.metric("ringway_build_info");
            let version = builds.keys().next().map(|labels| version(labels, env!("CARGO_PKG_VERSION")));
            let away = answer.metric("ringway_nodes_unreachable");
            let links = (!away.is_empty()).then(|| links(away.values().sum()));
            version.into_iter().chain(links).collect()
        }
        Ok(Fetched { answer, .. }) => vec![no_metrics(&format!("/metrics answers {}", answer.status))],
        Err(why) => vec![no_metrics(&why)],
    }
}

fn no_metrics(why: &str) -> Finding {
    Finding::note(
        What::Links,
        format!("The member's links are not known: {why}."),
        "Give --url the port where its metrics are.",
    )
}

/// `labels` is `{version="…"}`.
fn version(labels: &str, mine: &str) -> Finding {
    let its = labels.split('"').nth(1).unwrap_or_default();
    let seen = format!("The member has version {its}, this program {mine}.");
    if its == mine {
        return Finding::ok(What::Version, seen);
    }
    Finding::note(
        What::Version,
        seen,
        "Ask a member with a program of its own release: another one may not know all that it tells.",
    )
}

fn links(away: f64) -> Finding {
    if away > 0.0 {
        return Finding::warning(
            What::Links,
            format!("The member has no link to {away} node(s) of the view."),
            "Look whether these nodes run, and whether a firewall lets members through to their link addresses, in one direction at least.",
        );
    }
    Finding::ok(What::Links, "The member has a link to every other node of the view.")
}

/// The members, for whoever has a token.
async fn cluster(whom: &Whom<'_>, told: &Told) -> Vec<Finding> {
    let Some(token) = whom.token else {
        let advice = "Give --token, or set RINGWAY_ADMIN_TOKEN.";
        return vec![Finding::note(
            What::Members,
            "The members are not known: there is no token for the admin API.",
            advice,
        )];
    };
    let listed = match fetched(whom.url, whom.ca, "/admin/members", Some(token)).await {
        Ok(listed) if listed.answer.status == 200 => listed,
        Ok(refused) => return vec![no_members(refused.answer.status)],
        Err(why) => {
            let advice = "Ask again; the member's own log says what it does.";
            return vec![Finding::fault(What::Members, format!("The members are not known: {why}."), advice)];
        }
    };
    match Members::read(listed.json) {
        Ok(members) => vec![states(&members.members), epochs(whom, told, &members.members).await],
        Err(why) => vec![Finding::fault(What::Members, why.to_string(), "Use a program of the member's release.")],
    }
}

fn no_members(status: u16) -> Finding {
    let advice = match status {
        404 => "Give the member a token for the admin API ([admin] token), or --url its internal port, if it has one.",
        _ => "Give the token that the member was started with, in --token or RINGWAY_ADMIN_TOKEN.",
    };
    Finding::warning(What::Members, format!("The members are not known: the admin API answers {status}."), advice)
}

fn states(members: &[Member]) -> Finding {
    let told: Vec<String> = members
        .iter()
        .filter(|member| member.state != "active")
        .map(|member| format!("{} is {}", member.id, member.state))
        .collect();
    let is_amiss = |member: &Member| !matches!(member.state.as_str(), "active" | "joining" | "draining");
    if members.iter().any(is_amiss) {
        let advice =
            "Look at their logs, and start them again; `ringway node remove` forgets one that does not come back.";
        return Finding::warning(What::Members, format!("{}.", told.join(", ")), advice);
    }
    match told.is_empty() {
        true => Finding::ok(What::Members, format!("All {} members are active.", members.len())),
        false => Finding::note(What::Members, format!("{}.", told.join(", ")), "Look again when the change is over."),
    }
}

/// Every gateway is at the same epoch, or comes to it within a second.
async fn epochs(whom: &Whom<'_>, told: &Told, members: &[Member]) -> Finding {
    let is_gateway = |member: &&Member| member.state == "active" && member.roles.iter().any(|role| role == "gateway");
    let others = members.iter().filter(is_gateway).filter(|member| member.id != told.member);
    let urls: Vec<String> = others.take(GATEWAYS).map(|member| format!("http://{}", member.address)).collect();
    let mut seen = all_epochs(whom, &urls).await;
    if seen.len() > 1 {
        tokio::time::sleep(AGAIN).await;
        seen = all_epochs(whom, &urls).await;
    }
    judged_epochs(&seen)
}

async fn all_epochs(whom: &Whom<'_>, urls: &[String]) -> BTreeSet<u64> {
    let asked = urls.iter().map(|url| health(url, None));
    let (own, others) = tokio::join!(health(whom.url, whom.ca), join_all(asked));
    // A gateway whose health is on a port of its own, or behind TLS, is left out: the member's links tell of it.
    others.into_iter().chain([own]).flatten().map(|told| told.epoch).collect()
}

fn judged_epochs(seen: &BTreeSet<u64>) -> Finding {
    let told: Vec<String> = seen.iter().map(u64::to_string).collect();
    match told.as_slice() {
        [] => Finding::warning(
            What::Epoch,
            "No gateway told its epoch any more.",
            "Look whether the member that was asked still runs.",
        ),
        [one] => Finding::ok(What::Epoch, format!("The gateways that answer are at epoch {one}.")),
        _ => Finding::warning(
            What::Epoch,
            format!("Gateways are at the epochs {}.", told.join(", ")),
            "Ask again. If it stays so, one of them is cut off from the registry, or belongs to another cluster.",
        ),
    }
}

#[cfg(test)]
mod tests;
