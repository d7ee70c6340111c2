//! The way of frames into one socket: a queue, the task that goes on where the socket was full, and who wakes it.
//!
//! Any thread may queue, flush and close. Whoever finds the socket full sets `blocked`, and the task alone writes from
//! then until everything is out. All of it changes under one lock, and only through a [`Turn`]. When a turn ends it
//! compares what the task acts on with what was there before, and wakes the task if there is something new: nobody who
//! changes the state can forget to.
//!
//! The lock comes from the `sync` module beside this one, and the socket is a type parameter, so that the model in
//! `model.rs` runs these very lines.

use super::outbox::{Outbox, Sink, Written};
use super::sync::{AtomicU16, Mutex, MutexGuard, Ordering};
use crate::strain::Strain;
use bytes::Bytes;
use std::io;
use std::ops::{Deref, DerefMut};
use std::task::{Context, Poll, Waker};

/// Up to so many bytes that nobody has flushed yet stay out of the account: they leave within the same turn of the
/// sender, and most sockets are never in the account at all, which costs them nothing.
const UNCOUNTED: usize = 64 * 1024;

/// The world of one pipe.
pub(super) trait Outside: Sink {
    /// A round of writing has taken this.
    fn wrote(&self, written: &Written);
    /// The account of all pipes changes by so many bytes.
    fn account(&self, change: isize);
    /// The account of all bytes that wait for a writer changes by so many.
    fn account_unwritten(&self, change: isize);
    /// The time, in ticks of the edge; never 0.
    fn ticks(&self) -> u32;
}

/// One socket's way out.
pub(super) struct Pipe<O: Outside> {
    pub(super) outside: O,
    /// The code this side closed with, 0 while it has not. Written under the lock; read without for a cheap look.
    closing: AtomicU16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outbox: Outbox,
    /// Wakes the socket's task; empty before its first and after its last poll.
    waker: Option<Waker>,
    /// Pauses of reading less resumes; reading stops while it is positive.
    holds: i32,
    /// When the kernel last took something while the socket was full; 0 for never.
    progressed: u32,
    /// When reading last went on after a pause; 0 for never.
    resumed: u32,
    /// The socket was full, the task waits to go on writing.
    blocked: bool,
    /// Reading waits until the queue is written.
    draining: bool,
    /// The clock looks whether the peer reads.
    watched: bool,
    /// Nothing can be sent any more: an error, an abort, or the end.
    dead: bool,
}

/// What the task needs to know, copied out of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// Nothing is to be read now.
    pub(super) held: bool,
    pub(super) blocked: bool,
    pub(super) dead: bool,
    /// Whoever feeds the socket is to be told that there is room.
    pub(super) has_room: bool,
    pub(super) watched: bool,
    /// The handler is to be called.
    pub(super) called: bool,
    closing: u16,
}

/// Whether there is room for more, as [`Pipe::ask_room`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PipeRoom {
    /// There is.
    Now,
    /// There is not, and the task will say when there is.
    Later,
}

/// The state under its lock.
struct Turn<'a, O: Outside> {
    pipe: &'a Pipe<O>,
    /// There until the turn ends.
    state: Option<MutexGuard<'a, State>>,
    before: Status,
    accounted: usize,
    unwritten: usize,
}

impl<O: Outside> Pipe<O> {
    pub(super) fn new(outside: O) -> Self {
        Self { outside, closing: AtomicU16::new(0), state: Mutex::new(State::default()) }
    }

    fn turn(&self) -> Turn<'_, O> {
        let state = self.state.lock();
        let before = state.status(self.code());
        let (accounted, unwritten) = (state.accounted(), state.unwritten());
        Turn { pipe: self, state: Some(state), before, accounted, unwritten }
    }

    /// The code this side closed with; 0 while it has not.
    pub(super) fn code(&self) -> u16 {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn queued(&self) -> usize {
        self.state.lock().outbox.queued()
    }

    /// Queues a frame. Above `limit` it is written at once, as perhaps nobody has flushed yet. False if it is too late.
    pub(super) fn send(&self, frame: Bytes, limit: usize) -> bool {
        let mut turn = self.turn();
        if turn.dead || self.code() != 0 {
            return false;
        }
        turn.outbox.push(frame);
        if turn.outbox.queued() > limit {
            turn.write();
        }
        true
    }

    /// Writes what is queued. What the socket can't take is left to the task.
    pub(super) fn flush(&self) {
        self.turn().write();
    }

    /// Leaves what is queued to a writer, who has to call [`Pipe::write_handed`] once. False if nobody has to: nothing is queued, the task
    /// writes, or a writer was asked before and has not begun.
    pub(super) fn hand_over(&self) -> bool {
        let mut turn = self.turn();
        if turn.outbox.is_handed || turn.blocked || turn.dead || turn.outbox.is_empty() {
            return false;
        }
        turn.outbox.is_handed = true;
        true
    }

    /// Writes what is queued, in the place of whoever handed it over. What is queued from now on is to be handed over again.
    pub(super) fn write_handed(&self) {
        let mut turn = self.turn();
        turn.outbox.is_handed = false;
        turn.write();
    }

    /// Queues the last frame, for the reason `code`. False if it is too late.
    pub(super) fn close(&self, code: u16, frame: Bytes) -> bool {
        self.turn().close(code, frame)
    }

    /// The same instead of everything that waits. False if the peer has caught up meanwhile, or is closed already.
    pub(super) fn close_slow(&self, code: u16, frame: Bytes) -> bool {
        let mut turn = self.turn();
        if !turn.blocked {
            return false;
        }
        if !turn.dead && self.code() == 0 {
            turn.outbox.drop_unbegun();
        }
        turn.close(code, frame)
    }

    /// Nothing is sent any more.
    pub(super) fn abort(&self) {
        self.turn().end();
    }

    pub(super) fn hold(&self) {
        self.turn().holds += 1;
    }

    pub(super) fn resume(&self) {
        let now = self.outside.ticks();
        let mut turn = self.turn();
        turn.holds -= 1;
        turn.resumed = now;
    }

    /// Has the task call its handler, once reading is not held.
    pub(super) fn call(&self) {
        self.turn().outbox.is_called = true;
    }

    /// Reading waits until everything is written.
    pub(super) fn drain(&self) {
        let mut turn = self.turn();
        turn.write();
        turn.draining = turn.blocked;
    }

    /// Asks to be told when no more than `low` bytes are queued. What is queued is written first.
    pub(super) fn ask_room(&self, low: u32) -> PipeRoom {
        let mut turn = self.turn();
        turn.write();
        if turn.outbox.ask_room(low) { PipeRoom::Now } else { PipeRoom::Later }
    }

    /// Since when nothing holds up reading, in ticks: 0 while something does, `None` if nothing ever did.
    pub(super) fn unread_for(&self) -> Option<u32> {
        let now = self.outside.ticks();
        let turn = self.turn();
        let last = (turn.resumed != 0).then(|| now.saturating_sub(turn.resumed));
        if turn.before.held { Some(0) } else { last }
    }

    /// Ticks since the kernel last took something while the socket was full; `None` if it never was.
    pub(super) fn progressed_for(&self) -> Option<u32> {
        let progressed = self.state.lock().progressed;
        (progressed != 0).then(|| self.outside.ticks().saturating_sub(progressed))
    }

    /// For the clock, which looks at full sockets only: `None` ends that.
    pub(super) fn strain(&self) -> Option<Strain> {
        let mut turn = self.turn();
        turn.watched = turn.blocked && !turn.dead && self.code() == 0;
        turn.watched.then(|| Strain { queued: turn.outbox.queued(), progressed: turn.progressed })
    }

    // ---- what the task alone does ----

    /// Where the task begins every round.
    pub(super) fn status(&self) -> Status {
        let mut turn = self.turn();
        turn.draining &= turn.blocked;
        turn.status(self.code())
    }

    pub(super) fn set_waker(&self, waker: &Waker) {
        // The task itself says where it is to be woken, before it looks at anything: that is nothing to wake it for.
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            None => state.waker = Some(waker.clone()),
        }
    }

    /// Goes on writing where it stopped, once `ready` says that the socket has room. Whether it did.
    pub(super) fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        ready: impl FnOnce(&O, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> bool {
        if ready(&self.outside, cx).is_pending() {
            return false;
        }
        let mut turn = self.turn();
        turn.blocked = false;
        if turn.write() {
            turn.progressed = self.outside.ticks();
        }
        true
    }

    /// The clock begins to look.
    pub(super) fn watch(&self) {
        self.turn().watched = true;
    }

    /// Whoever feeds the socket is told that there is room.
    pub(super) fn take_room(&self) -> bool {
        self.turn().outbox.take_room()
    }

    /// The handler is called. What is left for it from now on calls it again.
    pub(super) fn take_call(&self) {
        self.turn().outbox.is_called = false;
    }

    /// The task's last act. Whether the end is one that the peer was not told of.
    pub(super) fn finish(&self) -> bool {
        let mut turn = self.turn();
        let was_dead = turn.dead;
        turn.end();
        // The waker holds the task's memory.
        turn.waker = None;
        was_dead
    }
}

impl State {
    /// Bytes that stand in the account of all sockets.
    fn accounted(&self) -> usize {
        let queued = self.outbox.queued();
        if self.blocked || queued > UNCOUNTED { queued } else { 0 }
    }

    /// Bytes that wait for a writer.
    fn unwritten(&self) -> usize {
        if self.outbox.is_handed && !self.blocked { self.outbox.queued() } else { 0 }
    }

    fn status(&self, closing: u16) -> Status {
        Status {
            held: self.holds > 0 || self.draining,
            blocked: self.blocked,
            dead: self.dead,
            has_room: self.outbox.has_room(),
            watched: self.watched,
            called: self.outbox.is_called,
            closing,
        }
    }
}

impl Status {
    /// The task has something to do that it had not before.
    fn calls(&self, before: &Self) -> bool {
        let begins = |now: bool, then: bool| now && !then;
        begins(self.blocked, before.blocked)
            || begins(self.dead, before.dead)
            || begins(self.has_room, before.has_room)
            || begins(self.called, before.called)
            || begins(before.held, self.held)
            || self.closing != before.closing
    }
}

impl<O: Outside> Turn<'_, O> {
    /// Writes unless the task does; whether the kernel took something.
    fn write(&mut self) -> bool {
        if self.blocked || self.dead || self.outbox.is_empty() {
            return false;
        }
        let outside = &self.pipe.outside;
        match self.outbox.write_to(outside) {
            Ok(written) => {
                outside.wrote(&written);
                self.blocked = !self.outbox.is_empty();
                written.bytes > 0
            }
            Err(_) => {
                self.end();
                false
            }
        }
    }

    fn close(&mut self, code: u16, frame: Bytes) -> bool {
        if self.dead || self.pipe.code() != 0 {
            return false;
        }
        self.pipe.closing.store(code, Ordering::Relaxed);
        self.outbox.push(frame);
        self.write();
        true
    }

    fn end(&mut self) {
        self.dead = true;
        self.outbox.clear();
    }
}

impl<O: Outside> Deref for Turn<'_, O> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_deref().expect("a turn has the state until it ends")
    }
}

impl<O: Outside> DerefMut for Turn<'_, O> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_deref_mut().expect("a turn has the state until it ends")
    }
}

/// Wakes the task after the lock is free, as it will want it.
impl<O: Outside> Drop for Turn<'_, O> {
    fn drop(&mut self) {
        let accounted = State::accounted(self);
        if accounted != self.accounted {
            self.pipe.outside.account(accounted.wrapping_sub(self.accounted).cast_signed());
        }
        let unwritten = State::unwritten(self);
        if unwritten != self.unwritten {
            self.pipe.outside.account_unwritten(unwritten.wrapping_sub(self.unwritten).cast_signed());
        }
        let after = self.status(self.pipe.code());
        let waker = if after.calls(&self.before) { self.waker.clone() } else { None };
        drop(self.state.take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
