//! Senders that are no clients, like a back end that publishes through the server API: what they send is checked like the rest.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::member::{CHANNEL, Role, State};
use crate::checker::{Promise, SenderLog};
use crate::stamp::{Stamp, now_nanos};

/// These senders are numbered from here; members are numbered from 0 and are far fewer.
const FIRST: u64 = 1 << 30;

/// A sender to one channel of a swarm.
#[derive(Debug)]
pub struct Outside {
    state: Arc<State>,
    number: u32,
    channel: u32,
    subscribers: u64,
    log: Arc<SenderLog>,
}

impl Outside {
    pub(super) fn new(state: &Arc<State>, channel: usize) -> Option<Self> {
        let channel = u32::try_from(channel).ok().filter(|&index| (index as usize) < state.channels.len())?;
        let its = |role: &Role| matches!(role, Role::Centrifuge { channel: other, .. } if *other == channel);
        let number = u32::try_from(FIRST + state.outside.fetch_add(1, Relaxed)).ok()?;
        let subscribers = state.members.iter().filter(|member| its(&member.role)).count() as u64;
        let log = state.checker.sender(number, Promise::OnAcknowledge);
        Some(Self { state: state.clone(), number, channel, subscribers, log })
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.state.channels[self.channel as usize]
    }

    /// The number and text of the next message. Tell what became of it.
    pub fn next_message(&self) -> (u64, String) {
        let dest = CHANNEL | self.channel;
        let seq = self.log.send(dest);
        self.state.sent.fetch_add(1, Relaxed);
        self.state.outside_sent.fetch_add(1, Relaxed);
        let mut text = String::new();
        let stamp = Stamp { run: self.state.run, sender: self.number, dest, seq, nanos: now_nanos() };
        stamp.write(&mut text, self.state.payload.saturating_sub(2));
        (seq, text)
    }

    /// The server has message `seq`, and said so after this time.
    pub fn acknowledge(&self, seq: u64, took: Duration) {
        self.state.acknowledgements.record(took);
        self.log.acknowledge(CHANNEL | self.channel, seq);
    }

    /// The server does not want message `seq`, and why.
    pub fn refuse(&self, seq: u64, why: &str) {
        self.log.refuse(CHANNEL | self.channel, seq);
        self.state.note_refusal("a sender outside", why);
    }

    /// How many messages of a sender outside have not arrived at all subscribers, on average.
    pub fn under_way(&self) -> u64 {
        let State { outside, outside_sent, outside_arrived, .. } = &*self.state;
        let everywhere = outside_arrived.load(Relaxed) / self.subscribers.max(1);
        outside_sent.load(Relaxed).saturating_sub(everywhere) / outside.load(Relaxed).max(1)
    }

    /// Takes what has not arrived until now for lost, so that it is not under way any more.
    pub fn write_off(&self) {
        let State { outside_sent, outside_arrived, stalls, .. } = &*self.state;
        outside_arrived.store(outside_sent.load(Relaxed) * self.subscribers, Relaxed);
        stalls.fetch_add(1, Relaxed);
    }
}

impl State {
    /// Counts what was not taken, and keeps the first ones' words.
    pub(super) fn note_refusal(&self, who: &str, why: &str) {
        self.refusals.fetch_add(1, Relaxed);
        let mut examples = self.refusal_examples.lock();
        if examples.len() < super::member::KEPT {
            examples.push(format!("{who}: {why}"));
        }
    }
}
