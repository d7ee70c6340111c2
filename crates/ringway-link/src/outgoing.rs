//! What waits to be written on a link: frames, in order. Whoever sends leaves them as they are; the writer takes all of them at once and encodes
//! them in its own task.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use ringway_core::message::Frame;
use ringway_protocol::link::{FrameTooLong, MAX_FRAME_BYTES};
use tokio::sync::Notify;

use crate::limits::KEEP_FRAMES;

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link has ended, or is about to.
    #[error("the link is closed")]
    Closed,
    /// The queue was full. The link is closed by this.
    #[error("{queued} bytes wait already, which is the limit: the link is closed")]
    Full {
        /// Bytes that wait.
        queued: usize,
    },
    /// The frame is longer than a frame may be. The link is as it was.
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
}

/// The outgoing side of a link.
#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: Mutex<Queue>,
    /// Bytes the writer has taken and not written yet.
    in_flight: AtomicUsize,
    wake: Notify,
    limit: usize,
}

#[derive(Debug)]
struct Queue {
    waiting: Vec<Frame>,
    /// Of the frames that wait, by their size before they are encoded.
    bytes: usize,
    open: bool,
    frames: u64,
}

impl Outgoing {
    pub(crate) fn new(limit: usize) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), bytes: 0, open: true, frames: 0 });
        Self { queue, in_flight: AtomicUsize::new(0), wake: Notify::new(), limit }
    }

    /// Queues the frame behind what waits. At the limit the queue closes; it is passed by less than one frame.
    pub(crate) fn push(&self, frame: Frame) -> Result<(), SendError> {
        let size = frame.size();
        if size > MAX_FRAME_BYTES {
            return Err(FrameTooLong { length: size, limit: MAX_FRAME_BYTES }.into());
        }
        let mut queue = self.queue.lock();
        if !queue.open {
            return Err(SendError::Closed);
        }
        let queued = queue.bytes + self.in_flight.load(Ordering::Relaxed);
        if queued >= self.limit {
            queue.open = false;
            return Err(SendError::Full { queued });
        }
        let idle = queue.waiting.is_empty();
        queue.waiting.push(frame);
        queue.bytes += size;
        queue.frames += 1;
        drop(queue);
        if idle {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more. What waits can still be written.
    pub(crate) fn close(&self) {
        self.queue.lock().open = false;
        self.wake.notify_one();
    }

    /// Swaps all that waits for the empty `batch`, once something does. `false`: the queue is closed and empty.
    pub(crate) async fn take(&self, batch: &mut Vec<Frame>) -> bool {
        loop {
            {
                let mut queue = self.queue.lock();
                if !queue.waiting.is_empty() {
                    std::mem::swap(&mut queue.waiting, batch);
                    self.in_flight.store(std::mem::take(&mut queue.bytes), Ordering::Relaxed);
                    return true;
                }
                if !queue.open {
                    return false;
                }
            }
            self.wake.notified().await;
        }
    }

    /// So much of what was taken is written.
    pub(crate) fn written(&self, bytes: usize) {
        self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The batch is written; its memory is kept for the next one unless a burst has made it large.
    pub(crate) fn done(batch: &mut Vec<Frame>) {
        if batch.capacity() > KEEP_FRAMES {
            *batch = Vec::new();
        } else {
            batch.clear();
        }
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().bytes + self.in_flight.load(Ordering::Relaxed)
    }

    /// Frames queued so far.
    pub(crate) fn frames(&self) -> u64 {
        self.queue.lock().frames
    }
}
