//! Threads that write to client sockets in the place of whoever feeds many of them.
//!
//! ```text
//!   feeder ──add──▶ batch ──end──▶ line ──up to 32 at a time──▶ writer ──▶ socket
//! ```
//! The feeder queues frames at sockets and names each socket to its [`Flusher`](crate::Flusher); when its turn ends, all of them get into one line with one
//! lock, and one thread is woken, which wakes the next if it leaves something. A socket stands in the line once, however
//! much is queued at it until its turn comes, so the line is no longer than there are sockets.
//!
//! They are threads and not tasks, because a task that is woken by another one waits until that one has ended its poll: the runtime
//! keeps it for the same thread, and no other thread may take it.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread;

/// Sockets that a writer takes at a time: some 100 µs of work, so that waking a thread costs little beside it, and two of
/// them share what one publication to a hundred subscribers makes.
const CHUNK: usize = 32;

/// Where no writer is awake, a batch of so many sockets is written by the feeder itself: to wake a thread costs about as much.
const FEW: usize = 1;

/// A writer's own needs are small: the slices of one call and some frames.
const STACK: usize = 256 * 1024;

/// The writers of an edge. They start when there is something for them, and end with the edge.
#[derive(Debug)]
pub(crate) struct Writers {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    line: Mutex<Line>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Line {
    sockets: VecDeque<Arc<dyn Handed>>,
    /// Threads that are to be, that are, and that wait for something to come.
    wanted: usize,
    started: usize,
    asleep: usize,
    ended: bool,
}

/// A socket that was left to the writers.
pub(crate) trait Handed: fmt::Debug + Send + Sync {
    /// Writes what is queued, in the place of whoever left it.
    fn write_handed(&self);
}

impl Writers {
    /// So many at most; `None` for none.
    pub(crate) fn new(wanted: usize) -> Option<Self> {
        let line = Line { sockets: VecDeque::new(), wanted, started: 0, asleep: 0, ended: false };
        (wanted > 0).then(|| Self { queue: Arc::new(Queue { line: Mutex::new(line), arrived: Condvar::new() }) })
    }

    /// Takes the batch into the line, unless it is better written by whoever brings it.
    pub(crate) fn take(&self, batch: &mut Vec<Arc<dyn Handed>>) {
        let mut line = self.queue.line.lock();
        let all_rest = line.sockets.is_empty() && line.asleep == line.started;
        if (batch.len() <= FEW && all_rest) || line.wanted == 0 {
            return;
        }
        line.sockets.extend(batch.drain(..));
        let (wakes, starts) = (line.asleep > 0, line.asleep == 0 && line.started < line.wanted);
        line.started += usize::from(starts);
        let number = line.started;
        drop(line);
        if wakes {
            self.queue.arrived.notify_one();
        }
        if starts {
            self.start(number, batch);
        }
    }

    /// Starts one more writer. Where the system has no thread left, those that are there have to do, and without any the feeder writes.
    fn start(&self, number: usize, batch: &mut Vec<Arc<dyn Handed>>) {
        let queue = self.queue.clone();
        let builder = thread::Builder::new().name(format!("writer-{number}")).stack_size(STACK);
        let Err(error) = builder.spawn(move || queue.work()) else { return };
        let mut line = self.queue.line.lock();
        line.started -= 1;
        line.wanted = line.started;
        if line.started == 0 {
            batch.extend(line.sockets.drain(..));
        }
        drop(line);
        tracing::warn!(
            %error,
            writers = number - 1,
            "a thread that writes to clients could not be started; going on with fewer. Raise the limit of threads (ulimit -u), and start this process again"
        );
    }
}

/// The threads end once the line is empty.
impl Drop for Writers {
    fn drop(&mut self) {
        self.queue.line.lock().ended = true;
        self.queue.arrived.notify_all();
    }
}

impl Queue {
    /// What a writer does.
    fn work(&self) {
        let mut chunk = Vec::with_capacity(CHUNK);
        while self.take(&mut chunk) {
            chunk.drain(..).for_each(|conn: Arc<dyn Handed>| conn.write_handed());
        }
    }

    /// Waits for sockets and takes the first ones; false at the end.
    fn take(&self, chunk: &mut Vec<Arc<dyn Handed>>) -> bool {
        let mut line = self.line.lock();
        while line.sockets.is_empty() {
            if line.ended {
                return false;
            }
            line.asleep += 1;
            self.arrived.wait(&mut line);
            line.asleep -= 1;
        }
        let count = CHUNK.min(line.sockets.len());
        chunk.extend(line.sockets.drain(..count));
        let leaves = !line.sockets.is_empty() && line.asleep > 0;
        drop(line);
        if leaves {
            self.arrived.notify_one();
        }
        true
    }
}
