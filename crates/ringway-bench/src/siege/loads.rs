//! What each load does. None of it ends by itself, and none of it expects anything: whatever the server does, it goes on.

pub(super) mod bulk;
pub(super) mod client;
pub(super) mod guesses;
pub(super) mod names;
pub(super) mod sockets;

use std::time::Duration;

use super::field::Field;
use super::load::Load;
use super::party::Party;

/// After something failed, so long until it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Puts into the cluster what the load asks for.
pub(super) async fn prepare(load: Load, field: &Field) -> anyhow::Result<()> {
    match load {
        Load::Recoveries => field.fill(bulk::MISSED, bulk::MISSED_COUNT, bulk::MISSED_BYTES).await,
        Load::Histories => field.fill(bulk::LONG, bulk::LONG_COUNT, bulk::LONG_BYTES).await,
        _ => Ok(()),
    }
}

/// Goes on until it is dropped.
pub(super) async fn run(load: Load, party: Party) {
    match load {
        Load::IdleTcp => sockets::idle(party).await,
        Load::SlowBodies => sockets::slow_bodies(party).await,
        Load::UnreadAnswers => sockets::unread_answers(party).await,
        Load::HalfOpenLinks => sockets::half_open(party).await,
        Load::FreshNames => names::fresh(party).await,
        Load::OneChannel => names::one(party).await,
        Load::AdminTokens => guesses::admin_tokens(party).await,
        Load::ClientTokens => guesses::client_tokens(party).await,
        Load::JoinSecrets => guesses::join_secrets(party).await,
        Load::Storm => bulk::storm(party).await,
        Load::Recoveries => bulk::recoveries(party).await,
        Load::Histories => bulk::histories(party).await,
        Load::OnePublisher => names::publisher(party).await,
    }
}
