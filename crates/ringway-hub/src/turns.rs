//! Fair turns: what one session has brought does not keep the others waiting.
//!
//! In one turn a session gets so many commands done. The rest waits for the next turn, and everything else of the session behind it, so
//! that its order stays. Between two turns, answers go out and links are served.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::input::{Batch, ClientInput, Ticket};
use super::{Hub, Socket};
use ringway_core::timing::Now;

/// Commands that a session gets done in one turn.
const MOST: usize = 64;
/// Inputs that wait for a next turn. With more, all of them are worked off at once: sessions are paced besides, so it takes many of them.
const WAITING: usize = 65_536;

/// What waits for the next turn.
#[derive(Debug)]
pub struct Turns<S> {
    waiting: Vec<ClientInput<S>>,
    /// Connections that are not read from until nothing waits.
    held: Batch<S>,
    /// Commands done in this turn, by the ticket's address.
    done: HashMap<usize, usize>,
    /// Sessions with something that waits.
    behind: HashSet<usize>,
}

impl<S> Default for Turns<S> {
    fn default() -> Self {
        let (done, behind) = (HashMap::new(), HashSet::new());
        Self { waiting: Vec::new(), held: Batch::default(), done, behind }
    }
}

impl<S: Socket> Turns<S> {
    /// Works off what waited, and then the batch, as far as this turn goes.
    pub fn work_off(&mut self, now: Now, hub: &mut Hub<S>, batch: &mut Batch<S>) {
        let inputs = self.waiting.len() + batch.inputs.len();
        if self.waiting.is_empty() && batch.inputs.iter().map(commands).sum::<usize>() <= MOST {
            batch.inputs.drain(..).for_each(|input| hub.on_input(now, input));
            return;
        }
        let is_free = inputs > WAITING;
        self.done.clear();
        self.behind.clear();
        for input in std::mem::take(&mut self.waiting).into_iter().chain(batch.inputs.drain(..)) {
            match is_free {
                true => hub.on_input(now, input),
                false => self.offer(now, hub, input),
            }
        }
    }

    /// Something waits for another turn.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The turn is over. Lets the connections that were held go on, once nothing of theirs waits.
    pub fn resume(&mut self, batch: &mut Batch<S>) {
        batch.hand_over(&mut self.held);
        if !self.is_waiting() {
            self.held.resume();
        }
    }

    fn offer(&mut self, now: Now, hub: &mut Hub<S>, input: ClientInput<S>) {
        let Some(ticket) = ticket(&input) else { return hub.on_input(now, input) };
        let session = Arc::as_ptr(ticket) as usize;
        if self.behind.contains(&session) {
            return self.waiting.push(input);
        }
        let done = self.done.entry(session).or_default();
        let left = MOST - *done;
        match input {
            ClientInput::Commands(ticket, mut commands) if commands.len() > left => {
                let rest = commands.drain(left..).collect();
                *done = MOST;
                self.behind.insert(session);
                self.waiting.push(ClientInput::Commands(ticket.clone(), rest));
                hub.on_input(now, ClientInput::Commands(ticket, commands));
            }
            input => {
                *done += commands(&input);
                hub.on_input(now, input);
            }
        }
    }
}

fn commands<S>(input: &ClientInput<S>) -> usize {
    if let ClientInput::Commands(_, commands) = input { commands.len() } else { 0 }
}

fn ticket<S>(input: &ClientInput<S>) -> Option<&Arc<Ticket>> {
    match input {
        ClientInput::Commands(ticket, _)
        | ClientInput::Said(ticket, ..)
        | ClientInput::Puzzled(ticket)
        | ClientInput::Closed(ticket) => Some(ticket),
        ClientInput::Opened { .. } | ClientInput::Ponged(..) | ClientInput::Room(_) | ClientInput::Call(_) => None,
    }
}
