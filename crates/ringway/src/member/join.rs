//! The first thing a member that joins needs: the view, from the host.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::message::{Frame, Message, RegistryOp, RegistryRequest};
use ringway_core::view::View;
use ringway_core::{Epoch, MemberId};
use ringway_link::{Event, HandshakeError, Links, Target};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};
use tracing::warn;

use super::hindrance::{Hindrance, LINK_PORT};

/// How often somebody who waits is told so, if no dial has said anything.
const REMIND: Duration = Duration::from_secs(10);

/// Why this process cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The other end does not take us, or is not what we take it for. Trying again changes nothing.
    #[error("cannot join the cluster at {address}: {why}")]
    Refused {
        /// Where we dialed.
        address: Arc<str>,
        /// What was wrong.
        why: HandshakeError,
    },
    /// Who answers knows the secret, but the registry is not there.
    #[error(
        "cannot join the cluster at {address}: {id} answers there, which does not keep the registry. Give --join the link address of the cluster's first gateway"
    )]
    NoRegistry {
        /// Where we dialed.
        address: Arc<str>,
        /// Who answered.
        id: MemberId,
    },
    /// A gateway's port for clients, mostly: it answered HTTP.
    #[error(
        "cannot join the cluster at {address}: this is a port for clients, which speaks HTTP, and no link port; {LINK_PORT}"
    )]
    ClientsPort {
        /// Where we dialed.
        address: Arc<str>,
    },
    /// Something else than Ringway listens there.
    #[error(
        "cannot join the cluster at {address}: what listens there is no Ringway member. Check the address; {LINK_PORT}"
    )]
    NoMember {
        /// Where we dialed.
        address: Arc<str>,
    },
    /// The links have ended.
    #[error("this process is shutting down")]
    Ended,
}

/// Dials the host and waits for its view. Returns it with the events that came meanwhile.
///
/// # Errors
/// [`JoinError`]. A host that is not there yet is no error: it is dialed again until it is.
pub async fn first_view(
    links: &Links,
    target: &Target,
    events: &mut mpsc::Receiver<Event>,
) -> Result<(Arc<View>, Vec<Event>), JoinError> {
    links.dial(target.clone());
    let mut kept = Vec::new();
    let mut remind = interval_at(Instant::now() + REMIND, REMIND);
    let mut said = None;
    loop {
        let event = tokio::select! {
            event = events.recv() => event.ok_or(JoinError::Ended)?,
            _ = remind.tick() => {
                if said.is_none_or(|said: Instant| said.elapsed() >= REMIND) {
                    warn!(address = %target.address, "waiting for the cluster's first gateway: no answer yet");
                }
                continue;
            }
        };
        match event {
            Event::Up { peer, .. } if !peer.keeps_registry => {
                return Err(JoinError::NoRegistry { address: target.address.clone(), id: peer.id });
            }
            Event::Up { link, peer, sender } => {
                let message = Message::RegistryRequest(RegistryRequest { id: 0, op: RegistryOp::Read });
                // If the link is gone already its `Down` follows, and the next `Up` asks again.
                let _ = sender.send(Frame { epoch: Epoch(0), message });
                kept.push(Event::Up { link, peer, sender });
            }
            Event::Frames { link, peer, frames, bytes } => {
                let view = frames.iter().find_map(|frame| match &frame.message {
                    Message::RegistryAnswer(answer) => checked(&answer.view),
                    _ => None,
                });
                kept.push(Event::Frames { link, peer, frames, bytes });
                if let Some(view) = view {
                    return Ok((view, kept));
                }
            }
            Event::Refused { target } => said = Some(wait(Hindrance::refused(&target.address))?),
            Event::Failed { target, why } => said = Some(wait(Hindrance::of(&target.address, why))?),
            event @ Event::Down { .. } => kept.push(event),
        }
    }
}

/// The view, if it makes sense. Everything that this process will know of the cluster is built on it.
pub(super) fn checked(view: &Arc<View>) -> Option<Arc<View>> {
    match view.check() {
        Ok(()) => Some(view.clone()),
        Err(why) => {
            warn!(%why, "the cluster's first gateway has sent a view that cannot be one; waiting for another");
            None
        }
    }
}

/// Says what is waited for, if it is worth waiting, and when that was.
fn wait(hindrance: Hindrance) -> Result<Instant, JoinError> {
    match hindrance {
        Hindrance::Final(error) => Err(error),
        Hindrance::Passing(why) => {
            warn!("waiting for the cluster's first gateway: {why}");
            Ok(Instant::now())
        }
    }
}
