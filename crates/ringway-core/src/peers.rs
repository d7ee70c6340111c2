//! The outgoing side of a member's rules: frames for linked peers, each preceded by the view it speaks of.
//!
//! On every link the view of an epoch goes before the first frame of that epoch. So a receiver is never behind the
//! frame that it reads, and "catch up first" needs no waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{Epoch, Incarnation};
use crate::message::{Frame, Message};
use crate::timing::Now;
use crate::view::View;

/// A frame to be put on the link to a peer. Where the link is gone meanwhile it is dropped: the rules start again from `link_up`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Incarnation of the peer.
    pub to: Incarnation,
    /// What to send.
    pub frame: Frame,
}

/// Linked peers, what each of them knows of the view, and what waits to be sent.
#[derive(Debug)]
pub struct Peers {
    view: Arc<View>,
    told: BTreeMap<Incarnation, Epoch>,
    /// Newest epoch of each link's frames, and when the last frame came.
    heard: BTreeMap<Incarnation, (Epoch, Option<Now>)>,
    out: Vec<Outgoing>,
}

impl Peers {
    /// Nobody linked yet.
    pub fn new(view: Arc<View>) -> Self {
        Self { view, told: BTreeMap::new(), heard: BTreeMap::new(), out: Vec::new() }
    }

    /// The view that frames are sent with.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Frames are of this view from now on.
    pub fn set_view(&mut self, view: Arc<View>) {
        self.view = view;
    }

    /// A link came up, anew or instead of an older one.
    pub fn link_up(&mut self, peer: Incarnation) {
        self.told.insert(peer, Epoch(0));
        self.heard.insert(peer, (Epoch(0), None));
    }

    /// A link ended.
    pub fn link_down(&mut self, peer: Incarnation) {
        self.told.remove(&peer);
        self.heard.remove(&peer);
    }

    /// There is a link to this peer.
    pub fn is_up(&self, peer: Incarnation) -> bool {
        self.told.contains_key(&peer)
    }

    /// Every linked peer.
    pub fn linked(&self) -> impl Iterator<Item = Incarnation> + '_ {
        self.told.keys().copied()
    }

    /// A frame of this epoch came in on the link.
    pub fn heard(&mut self, now: Now, peer: Incarnation, epoch: Epoch) {
        if let Some((newest, at)) = self.heard.get_mut(&peer) {
            (*newest, *at) = (epoch.max(*newest), Some(now));
        }
    }

    /// Newest epoch that a frame on this link carried: the peer has applied that view.
    pub fn heard_epoch(&self, peer: Incarnation) -> Option<Epoch> {
        self.heard.get(&peer).map(|(epoch, _)| *epoch)
    }

    /// When the last frame came on this link; `None` before the first and without a link.
    pub fn last_heard(&self, peer: Incarnation) -> Option<Now> {
        self.heard.get(&peer).and_then(|(_, at)| *at)
    }

    /// Since when a peer does not serve that is lost at `now`: since it was last heard, if that is longer ago than `silent`.
    pub fn unserved_since(&self, now: Now, peer: Incarnation, silent: Now) -> Now {
        self.last_heard(peer).filter(|heard| now > *heard + silent).unwrap_or(now)
    }

    /// Queues a message for a linked peer; nothing happens where there is no link.
    pub fn send(&mut self, to: Incarnation, message: Message) {
        let Some(told) = self.told.get_mut(&to) else { return };
        let epoch = self.view.epoch;
        if *told < epoch && epoch > Epoch(0) {
            *told = epoch;
            self.out.push(Outgoing { to, frame: Frame { epoch, message: Message::Moved(self.view.clone()) } });
        }
        self.out.push(Outgoing { to, frame: Frame { epoch, message } });
    }

    /// Takes what waits to be sent, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.out.drain(..)
    }

    /// Something waits to be sent.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }
}
