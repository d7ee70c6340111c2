//! The registry that a first process begins with: that of a cluster which is just born, or of one that its folder remembers.

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::registry::Registry;
use ringway_core::ring::HashKey;
use ringway_core::view::{Removal, View};
use tracing::{info, warn};

use super::StartError;
use crate::clock;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};

/// Gives birth to a cluster, or brings back the one in the folder. `are_mine`: its members were children of the process that
/// had the folder before, and ended with it.
///
/// # Errors
/// [`StartError::Data`].
pub(super) fn registry(config: &Config, data: Option<&DataDir>, are_mine: bool) -> Result<Registry, StartError> {
    let kept = data.map(DataDir::view).transpose()?.flatten();
    let view = match &kept {
        Some(kept) if are_mine => without_members(kept),
        Some(kept) => kept.clone(),
        None => born(config),
    };
    if let Some(data) = data.filter(|_| kept.as_ref() != Some(&view)) {
        data.keep(&view).map_err(|why| DataDirError::Io { path: data.path().to_owned(), why })?;
    }
    let view = Arc::new(view);
    if kept.is_none() {
        return Ok(Registry::new(view, config.timing.ttl));
    }
    info!(
        epoch = %view.epoch, nodes = view.nodes.len(), gateways = view.gateways.len(),
        "the data folder remembers this cluster; going on with it"
    );
    say_what_stays(config, &view);
    Ok(Registry::restored(view, config.timing.ttl, clock::now()))
}

/// The view of a cluster that is born with these settings.
pub(super) fn born(config: &Config) -> View {
    let view = View::born(HashKey::from_bytes(rand::random()), config.cluster.slots);
    View { copies: config.cluster.replicas, ack_copies: config.ack.copies, ..view }
}

fn without_members(kept: &View) -> View {
    let mut members: Vec<Incarnation> = kept.members().map(|(_, incarnation, _)| incarnation).collect();
    members.sort_unstable();
    members.dedup();
    members.into_iter().fold(kept.clone(), |view, member| view.without(member, Removal::Proven))
}

/// What was fixed when the cluster was born, and what the config says now.
fn say_what_stays(config: &Config, view: &View) {
    let settings = [
        ("cluster.slots", config.cluster.slots.get(), view.slots.get()),
        ("cluster.replicas", config.cluster.replicas.into(), view.copies.into()),
        ("ack.copies", config.ack.copies.into(), view.ack_copies.into()),
    ];
    for (setting, wanted, stays) in settings.into_iter().filter(|(_, wanted, stays)| wanted != stays) {
        warn!(
            "{setting} is {wanted} in the config, and {stays} since this cluster was born: it stays {stays}. Only a new cluster, in another data folder, has it otherwise"
        );
    }
}
