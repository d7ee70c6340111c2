//! The HTTP routes beside the server API: page, health, metrics, admin API.

use std::sync::Arc;

use axum::Router;
use ringway_link::Links;

use crate::admin::Admin;
use crate::changes::Changes;
use crate::cluster::ClusterHandle;
use crate::config::Config;
use crate::console;
use crate::gateway::{Client, Inbox};
use crate::health::{Expected, Health};
use crate::metrics::Metrics;
use crate::orchestrator::Orchestrator;

/// What the routes need.
#[derive(Debug)]
pub struct RouteParts<'a> {
    /// For the token and the number of nodes to wait for.
    pub config: &'a Config,
    /// What is known of the cluster.
    pub cluster: ClusterHandle,
    /// In the process that starts nodes.
    pub orchestrator: Option<Orchestrator>,
    /// Where sessions are asked about.
    pub inbox: Arc<Inbox<Client>>,
    /// The receipts, in the process that keeps them.
    pub changes: Option<Changes>,
    /// Links that may be cut on purpose.
    pub cuts: Option<Links>,
    /// The process's metrics; the cluster's are added.
    pub metrics: Metrics,
}

/// All of them, to be merged with the server API's. Needs a running Tokio runtime.
pub fn routes(parts: RouteParts<'_>) -> Router {
    let RouteParts { config, cluster, orchestrator, inbox, changes, cuts, metrics } = parts;
    metrics.collect_cluster(cluster.clone());
    let expected = Expected { nodes: config.cluster.expect_nodes, gateways: config.cluster.expect_gateways };
    let health = Health::new(cluster.clone(), expected);
    let token = config.admin.token.as_ref().map(|token| token.0.as_str());
    let admin = Admin::new(cluster, orchestrator, Some(inbox))
        .referring_to(config.admin.orchestrator.as_deref())
        .recording(changes, config.cluster.weight)
        .cutting(cuts);
    console::routes().merge(health.routes()).merge(metrics.routes()).merge(admin.routes(token))
}
