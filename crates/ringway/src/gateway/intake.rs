//! Where connections and HTTP calls leave what they bring, until the hub takes all of it at once.
//!
//! There is one queue for all of a gateway's inputs, so their order is the order in which they came. It has a limit in
//! bytes: whoever goes beyond it is not read from until the hub has caught up, so that the queue outgrows its limit by
//! what was read at once and no more. Nothing is dropped.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ringway_core::UserName;
use ringway_core::message::Post;
use ringway_core::ring::SlotSet;
use ringway_hub::{ApiAnswer, ApiRequest, Batch, Call, ClientInput, ReplyTo};
use tokio::sync::{Notify, oneshot};

use super::Client;
use super::lines::Lines;

/// The queue in front of the hub.
#[derive(Debug)]
pub struct Intake<S> {
    limit: usize,
    queue: Mutex<Batch<S>>,
    arrived: Notify,
    /// Sockets are better given to another gateway of the process.
    is_shut: AtomicBool,
    /// Its sessions that are spoken for by requests.
    pub(super) lines: Lines,
    /// Of its sockets, those that the edge closed because their clients did not read. It only grows.
    slow: AtomicU64,
}

impl<S> Intake<S> {
    /// An empty queue that holds its bringers up above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            queue: Mutex::default(),
            arrived: Notify::new(),
            is_shut: AtomicBool::new(false),
            lines: Lines::default(),
            slow: AtomicU64::new(0),
        }
    }

    /// Adds an input of `bytes`. True if the queue is full and `socket` must not be read from: it will be resumed once.
    #[must_use]
    pub fn push(&self, input: ClientInput<S>, bytes: usize, socket: impl FnOnce() -> S) -> bool {
        let mut queue = self.queue.lock();
        queue.inputs.push(input);
        queue.bytes += bytes;
        let full = queue.bytes > self.limit;
        if full {
            queue.held.push(socket());
        }
        let first = queue.inputs.len() == 1;
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
        full
    }

    /// Adds an input that nothing can hold up: openings and ends of connections, the one pong that a connection has to send, and
    /// calls, which have a limit of their own.
    pub fn push_always(&self, input: ClientInput<S>) {
        let mut queue = self.queue.lock();
        queue.inputs.push(input);
        let first = queue.inputs.len() == 1;
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
    }

    /// Whether sockets may be given to this gateway, as its member task said last.
    pub fn takes_sockets(&self) -> bool {
        !self.is_shut.load(Ordering::Relaxed)
    }

    /// From now on sockets may be given to this gateway, or go to another one of the process while one takes them.
    pub fn set_takes_sockets(&self, takes: bool) {
        self.is_shut.store(!takes, Ordering::Relaxed);
    }

    /// One of its sockets was closed because its client did not read.
    pub fn count_slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// Has the one who waits come at once: what it took is not worked off yet.
    pub fn nudge(&self) {
        self.arrived.notify_one();
    }

    /// Hands what has come for a session of this gateway to it; whether there is one. `None`: it has too much waiting, and takes no more now.
    pub fn hand(&self, post: &Post) -> Option<bool> {
        self.lines.relay(post)
    }

    /// Waits until something has arrived. To be awaited by one task alone, which then takes everything.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes everything that has arrived. `batch` must be worked off and resumed; its memory is used again.
    pub fn take(&self, batch: &mut Batch<S>) {
        debug_assert!(batch.inputs.is_empty() && batch.held.is_empty(), "the last batch was not worked off");
        batch.bytes = 0;
        mem::swap(&mut *self.queue.lock(), batch);
    }
}

impl Intake<Client> {
    /// Asks the hub something. The answer is missing only if the process ends.
    pub fn call(&self, request: ApiRequest) -> oneshot::Receiver<ApiAnswer> {
        let (reply, answer) = oneshot::channel();
        // Whoever does not wait any more needs no answer.
        let reply = ReplyTo::new(move |answer| drop(reply.send(answer)));
        self.push_always(ClientInput::Call(Call { request, reply }));
        answer
    }

    /// Users with a session here whose inbox is in one of the slots: how many, and the names of some. `None` if the hub has too
    /// much to do to look.
    pub async fn users_in(&self, slots: SlotSet) -> Option<(u64, Vec<UserName>)> {
        match self.call(ApiRequest::Users(slots)).await {
            Ok(ApiAnswer::Users(count, names)) => Some((count, names)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use ringway_hub::{Room, Socket, Ticket};

    use super::*;

    /// A socket that counts how often its reading went on.
    #[derive(Debug, Clone, Default)]
    struct FakeSocket(Arc<AtomicUsize>);

    impl FakeSocket {
        fn resumed(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Socket for FakeSocket {
        fn send(&self, _frame: Bytes) {}

        fn flush(&self) {}

        fn queued(&self) -> usize {
            0
        }

        fn ask_room(&self, _low: usize) -> Room {
            Room::Now
        }

        fn unread_for(&self) -> Option<Duration> {
            None
        }

        fn progressed_for(&self) -> Option<Duration> {
            None
        }

        fn close(&self, _code: u16, _reason: &str) {}

        fn resume(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn puzzled() -> ClientInput<FakeSocket> {
        ClientInput::Puzzled(Ticket::new())
    }

    #[test]
    fn who_brings_too_much_is_held_until_it_is_worked_off() {
        let intake: Intake<FakeSocket> = Intake::new(100);
        let (polite, greedy) = (FakeSocket::default(), FakeSocket::default());
        assert!(!intake.push(puzzled(), 100, || polite.clone()));
        assert!(intake.push(puzzled(), 1, || greedy.clone()));
        intake.push_always(puzzled());
        let mut batch = Batch::default();
        intake.take(&mut batch);
        assert_eq!(batch.inputs.len(), 3, "nothing is dropped");
        assert_eq!(greedy.resumed(), 0);
        batch.inputs.clear();
        batch.resume();
        assert_eq!((polite.resumed(), greedy.resumed()), (0, 1));
        assert!(!intake.push(puzzled(), 100, || polite.clone()), "there is room again");
    }

    #[tokio::test]
    async fn the_hub_wakes_for_what_arrives() {
        let intake: Arc<Intake<FakeSocket>> = Arc::new(Intake::new(100));
        let mut batch = Batch::default();
        for _ in 0..3 {
            intake.push_always(puzzled());
            intake.push_always(puzzled());
            intake.arrived().await;
            intake.take(&mut batch);
            assert_eq!(batch.inputs.drain(..).count(), 2);
        }
    }
}
