//! The thread that writes lines, and the bounded queue before it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::form::Form;
use super::output::Output;
use super::sieve::{Sieve, WINDOW};

/// Lines that wait to be written; more are lost.
const WAITING: usize = 16 * 1024;
/// Bytes of lines that wait to be written; a line that would make it more is lost.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Way to the thread. Cheap to clone; giving it a line never waits for the reader.
#[derive(Debug, Clone)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How lines of a log look. `None`: what is said is written as it is, and nothing else.
    form: Option<Form>,
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Everything is written.
    idle: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<String>,
    bytes: usize,
    sieve: Sieve,
    /// A line was taken from here and is being written.
    is_writing: bool,
}

impl Writer {
    /// Starts the thread. It ends with the process.
    pub(super) fn start(name: &str, form: Option<Form>, out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            form,
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            lost: AtomicU64::new(0),
        });
        let mut hand =
            Hand { shared: shared.clone(), output: Output::new(out), missed: Missed { told: 0, not_before: None } };
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                hand.write_next();
            }
        })?;
        Ok(Self(shared))
    }

    /// A line of the log, unless the same one was told a moment ago.
    pub(super) fn tell(&self, body: &str) {
        let mut state = self.0.state.lock();
        if state.sieve.lets_through(Instant::now(), body) {
            self.stamp(&mut state, body);
            // The sieve has more to look after now, too: the thread looks how long it may sleep.
            self.0.work.notify_one();
        }
    }

    /// A line of the log, however often it is told.
    pub(super) fn tell_all(&self, body: &str) {
        self.stamp(&mut self.0.state.lock(), body);
        self.0.work.notify_one();
    }

    /// Text as it is.
    pub(super) fn say(&self, text: String) {
        self.put(&mut self.0.state.lock(), text);
        self.0.work.notify_one();
    }

    /// Lines that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, or until then.
    pub(super) fn drain(&self, until: Instant) {
        let mut state = self.0.state.lock();
        while state.is_writing || !state.queue.is_empty() {
            if self.0.idle.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    fn stamp(&self, state: &mut State, body: &str) {
        if let Some(form) = self.0.form {
            self.put(state, form.line(SystemTime::now(), body, 0));
        }
    }

    fn put(&self, state: &mut State, text: String) {
        if state.queue.len() >= WAITING || state.bytes + text.len() > WAITING_BYTES {
            return self.0.lose(&text);
        }
        state.bytes += text.len();
        state.queue.push_back(text);
    }
}

impl Shared {
    fn lose(&self, text: &str) {
        self.lost.fetch_add(text.lines().count() as u64, Ordering::Relaxed);
    }
}

/// What the thread has in hand.
struct Hand<W> {
    shared: Arc<Shared>,
    output: Output<W>,
    missed: Missed,
}

/// What was told of lost lines.
struct Missed {
    told: u64,
    not_before: Option<Instant>,
}

impl<W: Write> Hand<W> {
    /// Waits for something to write, and writes it, however long that takes.
    fn write_next(&mut self) {
        let text = self.next();
        if self.output.write(&text) {
            self.tell_of_lost_lines();
        } else {
            self.shared.lose(&text);
        }
    }

    fn next(&self) -> String {
        let mut state = self.shared.state.lock();
        loop {
            if let Some(text) = self.take(&mut state) {
                state.is_writing = true;
                return text;
            }
            state.is_writing = false;
            self.shared.idle.notify_all();
            match state.sieve.next_due() {
                Some(at) => drop(self.shared.work.wait_until(&mut state, at)),
                None => self.shared.work.wait(&mut state),
            }
        }
    }

    /// What was held back for long enough goes first: it is older.
    fn take(&self, state: &mut MutexGuard<'_, State>) -> Option<String> {
        if let Some(form) = self.shared.form
            && let Some((body, more)) = state.sieve.take_due(Instant::now())
        {
            return Some(form.line(SystemTime::now(), &body, more));
        }
        let text = state.queue.pop_front()?;
        state.bytes -= text.len();
        Some(text)
    }

    /// The log can be written again: it says what is missing in it.
    fn tell_of_lost_lines(&mut self) {
        let (lost, now) = (self.shared.lost.load(Ordering::Relaxed), Instant::now());
        let Some(form) = self.shared.form.filter(|_| lost > self.missed.told) else { return };
        if self.missed.not_before.is_some_and(|at| now < at) {
            return;
        }
        let line = form.line(SystemTime::now(), &form.lost(lost - self.missed.told), 0);
        if self.output.write(&line) {
            self.missed = Missed { told: lost, not_before: Some(now + WINDOW) };
        }
    }
}

#[cfg(test)]
mod tests;
