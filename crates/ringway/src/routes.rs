//! The HTTP routes beside the server API: page, health, metrics, admin API.

use std::sync::Arc;

use axum::Router;
use ringway_link::Links;

use crate::admin::Admin;
use crate::changes::Changes;
use crate::cluster::ClusterHandle;
use crate::config::Config;
use crate::console::{self, Clients};
use crate::gateway::{Client, Intake};
use crate::guesses::Guesses;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::orchestrator::Orchestrator;

/// What the routes need.
#[derive(Debug)]
pub struct RouteParts<'a> {
    /// For the token and what the admin API needs.
    pub config: &'a Config,
    /// What is known of the cluster.
    pub cluster: ClusterHandle,
    /// In the process that starts nodes.
    pub orchestrator: Option<Orchestrator>,
    /// Where sessions are asked about, on a gateway.
    pub intake: Option<Arc<Intake<Client>>>,
    /// The receipts, in the process that keeps them.
    pub changes: Option<Changes>,
    /// Links that may be cut on purpose.
    pub cuts: Option<Links>,
    /// Whether it can do its work.
    pub health: Health,
    /// The process's metrics; the cluster's are added.
    pub metrics: Metrics,
    /// Where the page's clients connect.
    pub clients: Clients,
    /// Where wrong tokens are counted.
    pub guesses: Guesses,
}

/// All of them, to be merged with the server API's. Needs a running Tokio runtime.
pub fn routes(parts: RouteParts<'_>) -> Router {
    let RouteParts { config, cluster, orchestrator, intake, changes, cuts, health, metrics, clients, guesses } = parts;
    metrics.collect_cluster(cluster.clone());
    metrics.collect(health.numbers());
    let token = config.admin.token.as_ref().map(|token| token.0.as_str());
    let admin = Admin::new(cluster, orchestrator, intake)
        .referring_to(config.admin.orchestrator.as_deref())
        .recording(changes, config.cluster.weight)
        .cutting(cuts)
        .counting(guesses);
    console::routes(clients).merge(health.routes()).merge(metrics.routes()).merge(admin.routes(token))
}
