//! What waits to be written on a link: one buffer that senders encode into, swapped out whole by the writer.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;
use ringway_core::message::Frame;
use ringway_protocol::link::{FrameTooLong, encode};
use tokio::sync::Notify;

use crate::limits::KEEP_BUFFER;

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
    buffer: BytesMut,
    open: bool,
    frames: u64,
}

impl Outgoing {
    pub(crate) fn new(limit: usize) -> Self {
        let queue = Mutex::new(Queue { buffer: BytesMut::new(), open: true, frames: 0 });
        Self { queue, in_flight: AtomicUsize::new(0), wake: Notify::new(), limit }
    }

    /// Encodes the frame behind what waits. At the limit the queue closes; it is passed by less than one frame.
    pub(crate) fn push(&self, frame: &Frame) -> Result<(), SendError> {
        let mut queue = self.queue.lock();
        if !queue.open {
            return Err(SendError::Closed);
        }
        let queued = queue.buffer.len() + self.in_flight.load(Ordering::Relaxed);
        if queued >= self.limit {
            queue.open = false;
            return Err(SendError::Full { queued });
        }
        let idle = queue.buffer.is_empty();
        encode(frame, &mut queue.buffer)?;
        queue.frames += 1;
        drop(queue);
        if idle {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Says something that only a later release knows.
    #[cfg(feature = "next")]
    pub(crate) fn push_next(&self) {
        ringway_protocol::link::next::put_kind(&mut self.queue.lock().buffer);
        self.wake.notify_one();
    }

    /// Takes nothing more. What waits can still be written.
    pub(crate) fn close(&self) {
        self.queue.lock().open = false;
        self.wake.notify_one();
    }

    /// Swaps all that waits for the empty `batch`, once something does. `false`: the queue is closed and empty.
    pub(crate) async fn take(&self, batch: &mut BytesMut) -> bool {
        loop {
            {
                let mut queue = self.queue.lock();
                if !queue.buffer.is_empty() {
                    std::mem::swap(&mut queue.buffer, batch);
                    self.in_flight.store(batch.len(), Ordering::Relaxed);
                    return true;
                }
                if !queue.open {
                    return false;
                }
            }
            self.wake.notified().await;
        }
    }

    /// The batch is written; its buffer is kept for the next one unless a burst has made it large.
    pub(crate) fn written(&self, batch: &mut BytesMut) {
        self.in_flight.store(0, Ordering::Relaxed);
        if batch.capacity() > KEEP_BUFFER {
            *batch = BytesMut::new();
        } else {
            batch.clear();
        }
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().buffer.len() + self.in_flight.load(Ordering::Relaxed)
    }

    /// Frames queued so far.
    pub(crate) fn frames(&self) -> u64 {
        self.queue.lock().frames
    }
}
