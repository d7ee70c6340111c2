//! Whether this process can do its work, and what is missing.
//!
//! | route | 200 | 503 |
//! |---|---|---|
//! | `GET /health` | `ok`, or `degraded`: everything can be published, and something is missing | `starting`; `failing`: for three seconds, something cannot be published |
//! | `GET /health/live` | the member task turns | it does not: the only reason to start the process again |
//!
//! What counts is looked at (`look`), and counts once it has lasted for three seconds (`seen`): an ordinary failover is over long
//! before. What a process says of all slots is said by all processes, so whoever starts processes anew by `/health` ends the cluster.

mod cause;
mod expected;
mod herald;
mod look;
mod numbers;
mod reasons;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use ringway_core::MemberId;
use ringway_core::timing::{Now, Timing};
use serde::Serialize;
use tokio::sync::watch;

use crate::census::Said;
use crate::clock;
use crate::cluster::ClusterHandle;
use crate::config::{Config, RegistryAt};
use crate::gateway::KeyFetch;
use crate::member::Stats;

use herald::Herald;
use look::Look;
use numbers::Numbers;
use seen::{Seen, Verdict};

pub use expected::Expected;

/// How long something must be amiss: longer than any failover, shorter than people's patience.
const GRACE: Duration = Duration::from_secs(3);
/// Looked at this often where nothing changes: what was amiss becomes so for three seconds.
const LOOK: Duration = Duration::from_millis(500);
/// The member task turns a hundred times a second. Not for so long, and it hangs.
const HANGS: Duration = Duration::from_secs(5);
/// Whoever asks while it seems to hang waits for it, but no longer: the whole process may have stood still, and goes on now.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is missing.
    Ok,
    /// Everything can be published, and something is missing.
    Degraded,
    /// Something cannot be published, or nothing is known.
    Failing,
    /// Not everybody who was asked for has been there yet.
    Starting,
}

impl Status {
    const ALL: [Self; 4] = [Self::Ok, Self::Degraded, Self::Failing, Self::Starting];

    /// The word in the answer.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
            Self::Starting => "starting",
        }
    }
}

/// What `GET /health` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In one word.
    pub status: Status,
    /// Name of this member.
    pub member: String,
    /// Epoch of the view.
    pub epoch: u64,
    /// What is missing, a sentence each; empty when nothing is.
    pub why: Vec<String>,
}

/// The routes of a process that does not know its cluster yet: it has started, and waits for the first gateway.
pub fn early_routes(member: &MemberId, config: &Config) -> Router {
    let why = match (&config.cluster.join, config.cluster.registry) {
        (Some(address), _) => Some(format!("waiting for the cluster's first gateway at {address}")),
        (None, RegistryAt::Nats) => {
            Some(format!("waiting for the registry in NATS at {}", config.nats.urls.join(", ")))
        }
        (None, RegistryAt::Redis) => {
            Some(format!("waiting for the registry in Redis at {}", config.redis.urls.join(", ")))
        }
        (None, RegistryAt::Local) => None,
    };
    let report =
        Report { status: Status::Starting, member: member.to_string(), epoch: 0, why: why.into_iter().collect() };
    Router::new()
        .route("/health", get(move || async move { report }))
        .route("/health/live", get(|| async { live(true) }))
}

/// What `GET /health/live` says.
fn live(turns: bool) -> Response {
    let (status, text) = match turns {
        true => (StatusCode::OK, "the member task turns\n"),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, "the member task has not turned for 5 s; start this process again\n")
        }
    };
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status = match self.status {
            Status::Ok | Status::Degraded => StatusCode::OK,
            Status::Failing | Status::Starting => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, [(CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

/// Follows the cluster, and knows for how long what has been amiss. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Health {
    cluster: ClusterHandle,
    stats: watch::Receiver<Stats>,
    timing: Timing,
    expected: Expected,
    /// What the census says, where there is one.
    census: Option<watch::Receiver<Said>>,
    /// Who fetches the keys of tokens, where a gateway does.
    keys: Option<KeyFetch>,
    seen: Arc<Mutex<Seen>>,
    /// How the further gateways of the process are: it is as well as the worst of them.
    beside: Arc<[Health]>,
}

impl Health {
    /// How one member is, for whoever looks. It starts as well once all of `expected` are there.
    pub fn new(cluster: ClusterHandle, stats: watch::Receiver<Stats>, timing: Timing, expected: Expected) -> Self {
        Self {
            cluster,
            stats,
            timing,
            expected,
            census: None,
            keys: None,
            seen: Arc::default(),
            beside: Arc::default(),
        }
    }

    /// The same of a member that follows a census.
    #[must_use]
    pub fn with_census(self, census: Option<watch::Receiver<Said>>) -> Self {
        Self { census, ..self }
    }

    /// The same of a gateway that fetches keys of tokens.
    #[must_use]
    pub fn with_keys(self, keys: Option<KeyFetch>) -> Self {
        Self { keys, ..self }
    }

    /// Begins to follow this member and those beside it in the process, and to log what becomes of them. Needs a running Tokio runtime.
    #[must_use]
    pub fn following(self, beside: Vec<Self>) -> Self {
        let health = Self { beside: beside.into(), ..self };
        tokio::spawn(health.clone().follow());
        health
    }

    /// The routes of the table.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/health", get(|State(health): State<Self>| async move { health.report() }))
            .route("/health/live", get(|State(health): State<Self>| async move { health.live().await }))
            .with_state(self)
    }

    /// How it is now.
    pub fn report(&self) -> Report {
        self.report_at(clock::now())
    }

    fn report_at(&self, now: Now) -> Report {
        let Verdict { status, why, .. } = self.verdict(now);
        let why = why.into_iter().map(|reason| reason.sentence).collect();
        let state = self.cluster.state();
        Report { status, member: state.me.id.to_string(), epoch: state.view.epoch.0, why }
    }

    fn verdict(&self, now: Now) -> Verdict {
        let own = self.own_verdict(now);
        let others = self.beside.iter().map(|other| (other.cluster.state().me.id.clone(), other.own_verdict(now)));
        others.fold(own, |verdict, (id, other)| verdict.and(&id, other))
    }

    fn own_verdict(&self, now: Now) -> Verdict {
        self.with_look(now, |look| self.seen.lock().verdict(&look, self.expected))
    }

    fn with_look<T>(&self, now: Now, then: impl FnOnce(Look<'_>) -> T) -> T {
        let (state, stats) = (self.cluster.state(), self.stats.borrow().clone());
        let census = self.census().unwrap_or_default();
        let keys = self.keys.as_ref().and_then(KeyFetch::trouble);
        then(Look { state: &state, stats: &stats, timing: &self.timing, census: &census, keys: keys.as_deref(), now })
    }

    /// What the census says; `None`: there is none.
    fn census(&self) -> Option<Said> {
        self.census.as_ref().map(|census| census.borrow().clone())
    }

    /// Whether the member task turns. Says nothing of the cluster.
    async fn live(&self) -> Response {
        let turned = |stats: &Stats| clock::now().saturating_sub(stats.turned) < HANGS;
        let all_turn = async {
            for mut stats in std::iter::once(self).chain(self.beside.iter()).map(|member| member.stats.clone()) {
                if stats.wait_for(turned).await.is_err() {
                    return false;
                }
            }
            true
        };
        live(tokio::time::timeout(PATIENCE, all_turn).await.unwrap_or(false))
    }

    async fn follow(self) {
        let (mut changes, mut herald) = (self.cluster.watch(), Herald::default());
        loop {
            let now = clock::now();
            herald.hear(now, &self.verdict(now));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The same in numbers, for `/metrics`.
    pub fn numbers(&self) -> Numbers {
        Numbers::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
