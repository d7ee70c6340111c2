//! The admin API: who is in the cluster, what is done to them, who owns what.
//!
//! | route | answers |
//! |---|---|
//! | `GET /admin/members` | `{"epoch","members":[…]}`, one [`Member`] each |
//! | `POST /admin/members` | `{"mode":"reset","window":"5s"}`, each optional: starts one more node; `{"action":"add","member":{…},"change":NUMBER}` |
//! | `POST /admin/members/{id}/{action}` | the same, with `start`, `stop` and `kill` of nodes: `stop`, `start`, `kill`, `freeze`, `thaw` or `remove`; `{"action","member":{…}}` |
//! | `POST /admin/members/{id}/weight` | `{"weight":2}`, and the same: another share of the slots for a node; `{"action":"weight","member":{…}}` |
//! | `POST /admin/plan` | what a change would come to: one [`Plan`] |
//! | `POST /admin/members/{id}/cut` | `{"from":ID,"seconds":3,"one_way":false}`, in a demo or with `--dev`: no link between the two; `{"action":"cut","member":{…}}` |
//! | `POST /admin/members/{id}/slow` | `{"from":ID,"seconds":3,"delay_ms":250,"bytes_per_second":1000000}`, in the same: what `from` sends arrives there later, or at a pace; `{"action":"slow","member":{…}}` |
//! | `GET /admin/changes` | what every change came to: `{"changes":[…]}`, one [`Receipt`](crate::changes::Receipt) each, oldest first |
//! | `GET /admin/ring` | with `?key=` or `?user=`: `{"key","slot","owner","standby","epoch"}` |
//!
//! All of them need `Authorization: Bearer <token>`; a process without a configured token has none of these routes. Bodies are
//! optional where the table shows none, and their type does not matter. An action answers when it is carried out or under way. Errors are
//! `{"error":"what, why, what to do"}` with 400, 401, 403, 404, 405, 409, 421, 429 or 503.

mod actions;
mod auth;
mod changes;
mod cut;
mod elsewhere;
mod error;
mod members;
mod memory;
mod plan;
mod rebalance;
mod ring;
mod weight;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use ringway_core::ring::Weight;
use ringway_link::Links;

pub use memory::Memory;

use crate::changes::Changes;
use crate::cluster::ClusterHandle;
use crate::gateway::{Client, Intake};
use crate::guesses::Guesses;
use crate::orchestrator::Orchestrator;
use auth::Token;
use error::AdminError;

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: ClusterHandle,
    orchestrator: Option<Orchestrator>,
    /// Where clients reach the process that starts members, if it is another one.
    elsewhere: Option<Arc<str>>,
    /// This process's links, where they may be cut or slowed on purpose.
    cuts: Option<Links>,
    memory: Memory,
    /// The receipts, in the process that keeps them.
    changes: Option<Changes>,
    /// What nodes begin with that are started here.
    usual_weight: Weight,
    intake: Option<Arc<Intake<Client>>>,
    guesses: Guesses,
}

impl Admin {
    /// Begins to remember members; `orchestrator` is there in the process that starts nodes. Needs a running Tokio runtime.
    /// `intake` leads to the sessions of this process.
    pub fn new(
        cluster: ClusterHandle,
        orchestrator: Option<Orchestrator>,
        intake: Option<Arc<Intake<Client>>>,
    ) -> Self {
        let memory = Memory::watching(cluster.clone());
        let (elsewhere, cuts, changes, usual_weight) = (None, None, None, Weight::ONE);
        Self {
            cluster,
            orchestrator,
            elsewhere,
            cuts,
            memory,
            changes,
            usual_weight,
            intake,
            guesses: Guesses::default(),
        }
    }

    /// The same where wrong tokens are counted with others.
    #[must_use]
    pub fn counting(self, guesses: Guesses) -> Self {
        Self { guesses, ..self }
    }

    /// The same where another process starts members, whose `host:port` for clients this is: it is named to whoever asks
    /// here for a change.
    #[must_use]
    pub fn referring_to(self, orchestrator: Option<&str>) -> Self {
        Self { elsewhere: orchestrator.map(Into::into), ..self }
    }

    /// The same where receipts are kept. Nodes that are started here begin with this weight.
    #[must_use]
    pub fn recording(self, changes: Option<Changes>, usual_weight: Weight) -> Self {
        Self { changes, usual_weight, ..self }
    }

    /// The same where links may be cut on purpose: these, and those of members that were started here.
    #[must_use]
    pub fn cutting(self, links: Option<Links>) -> Self {
        Self { cuts: links, ..self }
    }

    /// The routes. Without a token, and with an empty one, there are none.
    pub fn routes(self, token: Option<&str>) -> Router {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Router::new() };
        let inside = Router::new()
            .route("/members", get(members::list).post(actions::add))
            .route("/members/{id}/{action}", post(actions::act))
            .route("/members/{id}/weight", post(weight::set))
            .route("/members/{id}/cut", post(cut::cut))
            .route("/members/{id}/slow", post(cut::slow))
            .route("/plan", post(plan::foretell))
            .route("/changes", get(changes::list))
            .route("/ring", get(ring::look_up))
            .route_layer(from_fn_with_state(self.elsewhere.clone(), elsewhere::refer))
            .fallback(error::no_route)
            .method_not_allowed_fallback(error::no_method)
            .layer(from_fn_with_state((Token::new(token), self.guesses.clone()), auth::check))
            .with_state(self);
        Router::new().nest("/admin", inside)
    }
}

#[cfg(test)]
mod tests;
