//! What all connections of a gateway share: where they leave what their clients bring, by which limits, and who is counted. And how
//! sockets are dealt out where a process has several gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ringway_edge::{Closed, Conn, Flow};
use ringway_hub::{ClientInput, Command, Faults, Protocol, SessionLimits, Ticket, Verifier};
use smallvec::SmallVec;
use uuid::Uuid;

use super::Client;
use super::intake::Intake;
use super::pace::Pace;
use crate::guesses::Guesses;

/// Clients that were sent away before they had a socket, by the reason, and those that were held up; they only grow.
#[derive(Debug, Default)]
pub struct Refusals {
    /// The page that asked may not connect here.
    pub origin: AtomicU64,
    /// The path names no user.
    pub user_name: AtomicU64,
    /// Tokens that were refused, by the reason.
    pub tokens: Arc<Faults>,
    /// Times that a session had more commands than its pace allows, and was not read from for a while.
    pub paced: AtomicU64,
    /// Clients that wanted to connect, and whose token was wrong after too many others of their address: the hub has not seen them.
    pub turned_away: AtomicU64,
}

/// What a message asks, in order.
pub(super) type Commands = SmallVec<[Command; 1]>;

/// What all connections of a gateway share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) intake: Arc<Intake<Client>>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) limits: SessionLimits,
    pub(super) pace: Arc<Pace>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) guesses: Guesses,
}

/// The desks of the gateways of a process, in the order of the gateways. There is one at least.
#[derive(Debug)]
pub(super) struct Desks {
    desks: Box<[Arc<Desk>]>,
    next: AtomicUsize,
}

impl Desks {
    pub(super) fn new(desks: Box<[Arc<Desk>]>) -> Self {
        Self { desks, next: AtomicUsize::new(0) }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Arc<Desk>] {
        &self.desks
    }

    /// The desk of the next socket: each has its turn, but for those whose gateway takes none while another one does. A client that is
    /// asked to connect elsewhere comes to another gateway so, at the same port.
    pub(super) fn deal(&self) -> &Arc<Desk> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let all = || (0..self.desks.len()).map(|step| &self.desks[first.wrapping_add(step) % self.desks.len()]);
        let open = all().find(|desk| desk.intake.takes_sockets());
        open.unwrap_or(&self.desks[first % self.desks.len()])
    }
}

impl Desk {
    /// The connection is over for its client.
    pub(super) fn closed(&self, ticket: &Arc<Ticket>, how: &Closed) {
        if matches!(how, Closed::ByUs { code: ringway_edge::SLOW }) {
            self.intake.count_slow();
        }
        self.intake.push_always(ClientInput::Closed(ticket.clone()));
    }

    pub(super) fn open(&self, conn: &Arc<Conn>, ticket: &Arc<Ticket>, protocol: Protocol) {
        let (ticket, socket, client) = (ticket.clone(), Client(conn.clone()), Uuid::new_v4());
        self.intake.push_always(ClientInput::Opened { ticket, socket, protocol, client });
    }

    /// A pong that was waited for is handed on. There is one for each ping at most, so nothing holds it up.
    pub(super) fn pong(&self, ticket: &Arc<Ticket>, payload: &[u8]) {
        if let Some(number) = ticket.take_pong(payload) {
            self.intake.push_always(ClientInput::Ponged(ticket.clone(), number));
        }
    }

    /// Hands an input on; whether its connection may go on reading.
    pub(super) fn push(
        &self,
        conn: &Arc<Conn>,
        ticket: &Ticket,
        input: ClientInput<Client>,
        bytes: usize,
        asks: u32,
    ) -> Flow {
        if asks > 0 {
            ticket.begin_asks(asks);
        }
        let is_full = self.intake.push(input, bytes, || Client(conn.clone()));
        // Each pause is resumed once, so there is one reason for it: the other one is looked at with the next message.
        let must_pause = is_full || asks > 0 && ticket.must_pause(self.limits.publishes_in_flight);
        if must_pause { Flow::Pause } else { Flow::Continue }
    }

    /// The same for commands of a Centrifuge client.
    pub(super) fn push_commands(&self, conn: &Arc<Conn>, ticket: &Arc<Ticket>, commands: Commands) -> Flow {
        let bytes = commands.iter().map(Command::size).sum();
        let asks = commands.iter().filter(|command| command.ask.is_counted()).count() as u32;
        self.push(conn, ticket, ClientInput::Commands(ticket.clone(), commands), bytes, asks)
    }

    /// Counts commands; whether the connection may go on reading after them. One that is paused for another reason is looked at
    /// with its next message.
    pub(super) fn pace(&self, conn: &Arc<Conn>, paid: &mut u32, commands: u32, flow: Flow) -> Flow {
        let wait = self.pace.count(paid, commands);
        let Some(wait) = wait.filter(|_| matches!(flow, Flow::Continue)) else { return flow };
        self.refusals.paced.fetch_add(1, Ordering::Relaxed);
        let conn = conn.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            conn.resume();
        });
        Flow::Pause
    }
}
