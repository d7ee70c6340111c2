//! What a client has sent to another gateway than its session's: passed on to that one, and answered when it has said whether it has it.
//!
//! A gateway that has left the view has no sessions. One whose link ends may have had it or not: whoever asked asks again, and the number of
//! the post keeps it from being taken twice.

use std::collections::BTreeMap;

use super::Node;
use crate::id::Incarnation;
use crate::message::{Answer, Lane, Message, Post, Refusal};
use crate::timing::Now;

/// Posts that wait for gateways, of some 60 bytes each: what they hold is on its way. One more is refused, and asked again until its deadline.
const UNDER_WAY: usize = 65_536;

/// Posts that gateways have not answered.
#[derive(Debug, Default)]
pub(super) struct Posts {
    last: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    /// Who asked, and under which number.
    asker: (Incarnation, u64),
    gateway: Incarnation,
    /// The asker has given up by then.
    until: Now,
}

impl Posts {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Nobody waits for these any more.
    pub(super) fn expire(&mut self, now: Now) {
        self.open.retain(|_, open| now < open.until);
    }
}

impl Node {
    /// Passes a post on to the gateway of its session.
    pub(super) fn pass_on(&mut self, now: Now, from: Incarnation, id: u64, post: Box<Post>) {
        let gateway = post.gateway;
        if self.view().gateway(gateway).is_none() {
            return self.peers.send(from, Message::Answer(id, Answer::Posted(false)));
        }
        let is_behind = self.peers.live_under_way(gateway, Lane::Deliveries) > self.limits.live_bytes;
        if !self.peers.is_up(gateway) || is_behind || self.posts.open.len() >= UNDER_WAY {
            return self.peers.send(from, Message::Answer(id, Answer::Refused(Refusal::Retry)));
        }
        self.posts.last += 1;
        let number = self.posts.last;
        self.posts.open.insert(number, Open { asker: (from, id), gateway, until: now + self.timing.deadline });
        self.peers.send(gateway, Message::Post(number, post));
    }

    /// A gateway says what became of a post.
    pub(super) fn on_posted(&mut self, gateway: Incarnation, number: u64, is_taken: bool) {
        if self.posts.open.get(&number).is_none_or(|open| open.gateway != gateway) {
            return;
        }
        if let Some(Open { asker: (asker, id), .. }) = self.posts.open.remove(&number) {
            self.peers.send(asker, Message::Answer(id, Answer::Posted(is_taken)));
        }
    }

    /// A gateway will say nothing more: whoever asked is told this.
    pub(super) fn end_posts(&mut self, gateway: Incarnation, answer: &Answer) {
        for (_, open) in self.posts.open.extract_if(.., |_, open| open.gateway == gateway) {
            let (asker, id) = open.asker;
            self.peers.send(asker, Message::Answer(id, answer.clone()));
        }
    }
}
