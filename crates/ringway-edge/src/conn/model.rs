//! The pipe under loom, which tries every order of sends, flushes, readiness and closes. A wakeup that is lost leaves
//! everybody waiting, and loom reports that nobody can go on.

#[allow(dead_code, reason = "the model runs a part of it")]
#[allow(clippy::duplicate_mod, reason = "the same lines with another lock")]
#[path = "pipe.rs"]
mod pipe;

use super::outbox;
use loom::sync::Arc;
use outbox::{Sink, Written};
use pipe::{Outside, Pipe, PipeRoom};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};

/// The lock of the pipe, as loom has it.
mod sync {
    pub(super) use loom::sync::MutexGuard;
    pub(super) use loom::sync::atomic::{AtomicU16, Ordering};

    #[derive(Debug)]
    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics with the lock")
        }
    }
}

/// A socket's buffer with the readiness flag that a runtime keeps of it.
#[derive(Debug)]
struct Kernel {
    buffer: sync::Mutex<Buffer>,
    arrived: loom::sync::Notify,
}

#[derive(Debug)]
struct Buffer {
    held: usize,
    room: usize,
    is_ready: bool,
    writer: Option<Waker>,
}

impl Kernel {
    fn new(room: usize) -> Self {
        let buffer = Buffer { held: 0, room, is_ready: true, writer: None };
        Self { buffer: sync::Mutex::new(buffer), arrived: loom::sync::Notify::new() }
    }

    /// The peer waits for something to come, takes it, and thereby makes room.
    fn read(&self) -> usize {
        loop {
            let mut buffer = self.buffer.lock();
            let read = std::mem::take(&mut buffer.held);
            if read > 0 {
                buffer.room += read;
                buffer.is_ready = true;
                let writer = buffer.writer.take();
                drop(buffer);
                writer.into_iter().for_each(Waker::wake);
                return read;
            }
            drop(buffer);
            self.arrived.wait();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = self.buffer.lock();
        if buffer.is_ready {
            return Poll::Ready(Ok(()));
        }
        buffer.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink for Kernel {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut buffer = self.buffer.lock();
        let taken = wanted.min(buffer.room);
        if !buffer.is_ready || taken == 0 {
            buffer.is_ready = false;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer.room -= taken;
        buffer.held += taken;
        drop(buffer);
        self.arrived.notify();
        Ok(taken)
    }
}

impl Outside for Arc<Kernel> {
    fn wrote(&self, _written: &Written) {}

    fn account(&self, _change: isize) {}

    fn account_unwritten(&self, _change: isize) {}

    fn ticks(&self) -> u32 {
        1
    }
}

impl Sink for Arc<Kernel> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (**self).try_write(bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).try_write_vectored(slices)
    }
}

/// The part of the task that writes. It ends with the pipe; whoever is told of room ends it.
fn task(pipe: &Pipe<Arc<Kernel>>) {
    loom::future::block_on(std::future::poll_fn(|cx| {
        pipe.set_waker(cx.waker());
        loop {
            let status = pipe.status();
            if status.dead {
                return Poll::Ready(());
            }
            if status.has_room && pipe.take_room() {
                pipe.abort();
            }
            if !(status.blocked && pipe.poll_writing(cx, |kernel, cx| kernel.poll_ready(cx))) {
                return Poll::Pending;
            }
        }
    }));
}

/// A pipe into a kernel with room for `room`; `feed` sends, the peer reads `expected` bytes
/// and then ends it.
fn run(room: usize, expected: usize, feed: impl Fn(&Arc<Pipe<Arc<Kernel>>>) + Copy + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // More than two forced switches find nothing that two do not, and take minutes.
    model.preemption_bound = Some(2);
    model.check(move || {
        let kernel = Arc::new(Kernel::new(room));
        let pipe = Arc::new(Pipe::new(kernel.clone()));
        let sender = {
            let pipe = pipe.clone();
            loom::thread::spawn(move || feed(&pipe))
        };
        let peer = {
            let pipe = pipe.clone();
            loom::thread::spawn(move || {
                let mut read = 0;
                while read < expected {
                    read += kernel.read();
                }
                assert_eq!(read, expected);
                pipe.abort();
            })
        };
        task(&pipe);
        sender.join().unwrap();
        peer.join().unwrap();
    });
}

const FRAME: bytes::Bytes = bytes::Bytes::from_static(b"a");

#[test]
fn whoever_finds_the_socket_full_wakes_the_task() {
    // The second frame is over the limit, so that its send writes, and nobody flushes.
    run(1, 2, |pipe| {
        pipe.send(FRAME, 1);
        pipe.send(FRAME, 1);
    });
}

#[test]
fn a_flush_beside_the_task_loses_nothing() {
    run(1, 2, |pipe| {
        pipe.send(FRAME, 8);
        pipe.flush();
        pipe.send(FRAME, 8);
        pipe.flush();
    });
}

#[test]
fn a_close_behind_a_full_socket_goes_out() {
    run(1, 2, |pipe| {
        pipe.send(FRAME, 8);
        assert!(pipe.close(1000, FRAME) && !pipe.send(FRAME, 8));
    });
}

#[test]
fn a_drain_wakes_the_task_like_all_else() {
    run(1, 2, |pipe| {
        pipe.send(FRAME, 1);
        pipe.drain();
        pipe.send(FRAME, 8);
        pipe.flush();
    });
}

/// The line of a writer: how often it is to write, and whether nothing more will come.
#[derive(Debug)]
struct Line {
    asked: sync::Mutex<(usize, bool)>,
    arrived: loom::sync::Notify,
}

impl Line {
    fn say(&self, asked: usize, is_end: bool) {
        let mut line = self.asked.lock();
        *line = (line.0 + asked, is_end);
        drop(line);
        self.arrived.notify();
    }

    fn work(&self, pipe: &Pipe<Arc<Kernel>>) {
        loop {
            let (asked, is_end) = {
                let mut line = self.asked.lock();
                (std::mem::take(&mut line.0), line.1)
            };
            (0..asked).for_each(|_| pipe.write_handed());
            match (asked, is_end) {
                (0, true) => return,
                (0, false) => self.arrived.wait(),
                _ => {}
            }
        }
    }
}

/// Runs a sender that leaves its frames to a writer, as the member task does.
fn with_writer(pipe: &Arc<Pipe<Arc<Kernel>>>, sender: impl Fn(&Line)) {
    let line = Arc::new(Line { asked: sync::Mutex::new((0, false)), arrived: loom::sync::Notify::new() });
    let writer = {
        let (pipe, line) = (pipe.clone(), line.clone());
        loom::thread::spawn(move || line.work(&pipe))
    };
    sender(&line);
    writer.join().unwrap();
}

#[test]
fn what_is_queued_while_a_writer_has_the_socket_is_written() {
    run(2, 2, |pipe| {
        with_writer(pipe, |line| {
            for is_last in [false, true] {
                pipe.send(FRAME, 8);
                line.say(usize::from(pipe.hand_over()), is_last);
            }
        });
    });
}

#[test]
fn a_writer_that_finds_the_socket_full_wakes_the_task() {
    run(1, 2, |pipe| {
        with_writer(pipe, |line| {
            pipe.send(FRAME, 8);
            pipe.send(FRAME, 8);
            line.say(usize::from(pipe.hand_over()), true);
        });
    });
}

#[test]
fn whoever_asks_for_room_is_told() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let kernel = Arc::new(Kernel::new(1));
        let pipe = Arc::new(Pipe::new(kernel.clone()));
        let sender = {
            let pipe = pipe.clone();
            loom::thread::spawn(move || {
                pipe.send(FRAME, 8);
                pipe.send(FRAME, 8);
                if pipe.ask_room(0) == PipeRoom::Now {
                    pipe.abort();
                }
            })
        };
        let peer = loom::thread::spawn(move || {
            let mut read = 0;
            while read < 2 {
                read += kernel.read();
            }
        });
        task(&pipe);
        sender.join().unwrap();
        peer.join().unwrap();
    });
}
