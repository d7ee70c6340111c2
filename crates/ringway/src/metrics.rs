//! `GET /metrics`: numbers in Prometheus' text format. Every part registers its own; what concerns the cluster is here.

mod process;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::cluster::{ClusterHandle, Reach};

/// The process's metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    ours: Arc<Mutex<Registry>>,
    /// Those whose names are the same for every program.
    common: Arc<Mutex<Registry>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let ours = Arc::new(Mutex::new(Registry::with_prefix("ringway")));
        Self { ours, common: Arc::default() }
    }
}

impl Metrics {
    /// With what is known of the process itself, and its version.
    pub fn of_process() -> Self {
        let metrics = Self::default();
        metrics.common.lock().register_collector(Box::new(process::Process::default()));
        metrics.collect(process::Build);
        metrics
    }

    /// Adds something whose numbers are computed when asked for. Names get the prefix `ringway_`; they are part of the public interface, so choose
    /// them to stay.
    pub fn collect(&self, collector: impl Collector) {
        self.ours.lock().register_collector(Box::new(collector));
    }

    /// Adds what is known of the cluster: epoch, members, slots, users, sockets.
    pub fn collect_cluster(&self, cluster: ClusterHandle) {
        self.collect(ClusterNumbers(cluster));
    }

    /// All of them as text.
    ///
    /// # Errors
    /// A metric could not be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.common.lock())?;
        encode(&mut text, &self.ours.lock())?;
        Ok(text)
    }

    /// `GET /metrics`.
    pub fn routes(self) -> Router {
        Router::new().route("/metrics", get(move || async move { self.page() }))
    }

    fn page(&self) -> Response {
        match self.text() {
            Ok(text) => {
                ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
            }
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "a metric could not be written").into_response(),
        }
    }
}

/// Numbers that the newest state of the cluster gives.
struct ClusterNumbers(ClusterHandle);

impl fmt::Debug for ClusterNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterNumbers")
    }
}

impl Collector for ClusterNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.state();
        let table = state.placement.table();
        let mut per_member = |name: &str, help: &str, values: &[(&str, u64)]| -> fmt::Result {
            let gauge = ConstGauge::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            for (id, value) in values {
                ConstGauge::new(*value).encode(family.encode_family(&[("member", *id)])?)?;
            }
            Ok(())
        };
        let load = |incarnation| state.loads.get(&incarnation).copied().unwrap_or_default();
        let nodes = &state.view.nodes;
        let slots: Vec<_> = nodes
            .iter()
            .map(|node| {
                (node.id.as_str(), table.index_of(&node.id).map_or(0, |index| u64::from(table.slots_owned(index))))
            })
            .collect();
        let users: Vec<_> = nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).users)).collect();
        let channels: Vec<_> = nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).channels)).collect();
        let unsettled: Vec<_> = nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).unsettled)).collect();
        let history: Vec<_> =
            nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).history_bytes)).collect();
        let limits: Vec<_> =
            nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).history_limit)).collect();
        let dropped: Vec<_> = nodes.iter().map(|node| (node.id.as_str(), load(node.incarnation).dropped)).collect();
        let sockets: Vec<_> = state
            .view
            .gateways
            .iter()
            .map(|gateway| (gateway.id.as_str(), load(gateway.incarnation).sockets))
            .collect();
        let me = state.me.id.as_str();
        let away = nodes.iter().filter(|node| state.reach(node.incarnation) != Reach::Up).count() as u64;
        per_member("view_epoch", "Epoch of the view that this process has", &[(me, state.view.epoch.0)])?;
        per_member("nodes_unreachable", "Nodes of the view that this process has no live link to", &[(me, away)])?;
        per_member("node_slots", "Slots that a node owns", &slots)?;
        per_member("node_slots_unsettled", "Owned slots of a node that lack a copy or are not live", &unsettled)?;
        per_member("node_users", "Connected users whose inbox a node owns", &users)?;
        per_member("node_channels", "Channels that a node holds, as owner or standby", &channels)?;
        per_member("node_history_bytes", "Bytes of history that a node holds", &history)?;
        per_member("node_history_limit_bytes", "Bytes of history that a node may hold", &limits)?;
        per_member("node_deliveries_dropped", "Deliveries without history that a slow gateway was not sent", &dropped)?;
        per_member("gateway_sockets", "Client sockets that a gateway holds", &sockets)
    }
}

#[cfg(test)]
mod tests;
