//! What a process has once, beside its members: ports, routes, metrics, health.

use std::sync::Arc;

use ringway_edge::Edge;
use ringway_engine::file::FileLog;

use super::seated::Seated;
use super::serve::{self, Doors, Served};
use super::{Running, numbers};
use crate::census::Entrance;
use crate::changes::Changes;
use crate::config::Config;
use crate::console::Clients;
use crate::gateway::{GatewayConfig, KeyFetch, SocketRoutes};
use crate::guesses::Guesses;
use crate::metrics::Metrics;
use crate::orchestrator::Orchestrator;
use crate::routes::{RouteParts, routes};

/// What a process has once, however many members it has.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) edge: Option<Edge>,
    pub(super) gateway_config: Arc<GatewayConfig>,
    pub(super) guesses: Guesses,
    pub(super) clients: Clients,
    pub(super) orchestrator: Option<Orchestrator>,
    pub(super) changes: Option<Changes>,
    pub(super) file: Option<FileLog>,
    /// Where members are listed for others, if anywhere.
    pub(super) census: Option<Entrance>,
}

impl Own {
    /// Serves clients and operators for these members, the first one first.
    pub(super) fn serve(self, config: &Config, doors: Doors, all: Vec<Seated>) -> Running {
        let Self { edge, gateway_config, guesses, clients, orchestrator, changes, file, census } = self;
        let intakes: Vec<_> = all.iter().filter_map(|member| member.intake.clone()).collect();
        let intake = intakes.first().cloned();
        let sockets = edge.is_some().then(|| serve::sockets(config, gateway_config.clone(), intakes, &guesses));
        let refusals = sockets.as_ref().map(SocketRoutes::refusals);
        let keys = sockets.as_ref().map(|sockets| KeyFetch::begin(sockets.key_sets()));
        let (mut healths, mut counted, mut controls) = (Vec::new(), Vec::new(), Vec::new());
        let mut clusters = Vec::new();
        for member in all {
            healths.push(member.health);
            counted.push(member.counted);
            controls.push(member.control);
            clusters.push(member.cluster);
        }
        let (cluster, links) = (clusters.swap_remove(0), controls[0].links.clone());
        let said = census.as_ref().map(Entrance::said);
        let health = healths.remove(0).with_census(said).with_keys(keys.clone()).following(healths);
        let metrics = Metrics::of_process();
        metrics.collect(numbers::Numbers::new(counted, edge.clone(), refusals, guesses.clone()).with_keys(keys));
        let routes = routes(RouteParts {
            config,
            cluster: cluster.clone(),
            orchestrator,
            intake: intake.clone(),
            changes,
            // Only the open config has the echo: what is for tests alone goes together.
            cuts: config.server.echo.then(|| links.clone()),
            health,
            metrics,
            clients,
            guesses: guesses.clone(),
        });
        let internal = doors.serve(config, intake.as_ref().zip(sockets), Served { gateway_config, guesses, routes });
        let census = census.map(|entrance| entrance.take(cluster.clone()));
        Running { cluster, links, edge, internal, members: controls, file, census, intake }
    }
}
