//! Frames waiting to be written to one socket.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Most frames per system call. Linux takes 1024; beyond some dozens the call's own cost no longer shows, and the
/// array of slices stays at 1 KiB of stack.
const MAX_SLICES: usize = 64;

/// A byte sink that never blocks.
pub(super) trait Sink {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// A queue of frames, shared with the queues of other sockets frame by frame.
///
/// The first frame has its place inline, so a connection that gets one frame at a time never allocates, and one that
/// has nothing to send holds nothing.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Next to write, cut at its front by what has been written of it; empty when the queue is.
    front: Bytes,
    rest: VecDeque<Bytes>,
    /// Bytes in `front` and `rest`.
    queued: usize,
    /// Whether a part of `front` is on its way, so that the rest must follow.
    begun: bool,
    /// Whoever fills the queue wants to know when it is shorter than this; 0 if nobody does.
    mark: u32,
    /// It is, and was not told yet.
    is_below: bool,
    /// A writer has been asked to write it, and has not begun. Here, where there is room for it.
    pub(super) is_handed: bool,
    /// Something is left for the task's handler. Here for the same reason.
    pub(super) is_called: bool,
}

/// What one round of writing did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) calls: u64,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.queued == 0
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether no more than `low` bytes are queued. If not, [`Outbox::has_room`] will say when.
    pub(super) fn ask_room(&mut self, low: u32) -> bool {
        let has_room = self.queued <= low as usize;
        self.mark = if has_room { 0 } else { low.saturating_add(1) };
        has_room
    }

    pub(super) fn has_room(&self) -> bool {
        self.is_below
    }

    /// The same, once.
    pub(super) fn take_room(&mut self) -> bool {
        std::mem::take(&mut self.is_below)
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.queued += frame.len();
        if self.front.is_empty() {
            self.front = frame;
        } else {
            self.rest.push_back(frame);
        }
    }

    /// Drops every frame of which nothing has been written.
    pub(super) fn drop_unbegun(&mut self) {
        self.rest = VecDeque::new();
        if !self.begun {
            self.front = Bytes::new();
        }
        self.queued = self.front.len();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until the queue is empty or the sink would block. Frames leave whole and in order.
    pub(super) fn write_to(&mut self, sink: &impl Sink) -> io::Result<Written> {
        let mut written = Written::default();
        while !self.is_empty() {
            let result = if self.rest.is_empty() { sink.try_write(&self.front) } else { self.write_many(sink) };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written.calls += 1;
                    written.bytes += count as u64;
                    written.frames += self.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn write_many(&self, sink: &impl Sink) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        slices[0] = IoSlice::new(&self.front);
        let mut used = 1;
        for (slice, frame) in slices[1..].iter_mut().zip(&self.rest) {
            *slice = IoSlice::new(frame);
            used += 1;
        }
        sink.try_write_vectored(&slices[..used])
    }

    /// Takes `count` written bytes off the front; how many frames that completed.
    fn advance(&mut self, mut count: usize) -> u64 {
        self.queued -= count;
        if self.queued < self.mark as usize {
            (self.mark, self.is_below) = (0, true);
        }
        let mut frames = 0;
        while count >= self.front.len() && !self.front.is_empty() {
            count -= self.front.len();
            frames += 1;
            self.begun = false;
            self.front = self.rest.pop_front().unwrap_or_default();
        }
        if count > 0 {
            self.front.advance(count);
            self.begun = true;
        }
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;

    /// Takes as many bytes per call as its script says; 0 stands for "would block".
    #[derive(Default)]
    struct Scripted {
        script: RefCell<VecDeque<usize>>,
        taken: RefCell<Vec<u8>>,
    }

    impl Sink for Scripted {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.try_write_vectored(&[IoSlice::new(bytes)])
        }

        fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(slices.len() <= MAX_SLICES && slices.iter().all(|slice| !slice.is_empty()));
            let room = self.script.borrow_mut().pop_front().unwrap_or(usize::MAX);
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let count = room.min(all.len());
            self.taken.borrow_mut().extend_from_slice(&all[..count]);
            Ok(count)
        }
    }

    proptest! {
        #[test]
        fn frames_leave_whole_and_in_order(
            sizes in proptest::collection::vec(1_usize..300, 0..200),
            script in proptest::collection::vec(0_usize..2000, 0..60),
            flush_every in 1_usize..20,
        ) {
            let sink = Scripted { script: RefCell::new(script.into()), ..Scripted::default() };
            let (mut outbox, mut expected, mut frames) = (Outbox::default(), Vec::new(), 0);
            for (index, size) in sizes.iter().enumerate() {
                let frame = vec![index.to_le_bytes()[0]; *size];
                expected.extend_from_slice(&frame);
                outbox.push(frame.into());
                if index % flush_every == 0 {
                    frames += outbox.write_to(&sink).unwrap().frames;
                }
            }
            while !outbox.is_empty() {
                frames += outbox.write_to(&sink).unwrap().frames;
            }
            prop_assert_eq!(frames, sizes.len() as u64);
            prop_assert_eq!(sink.taken.into_inner(), expected);
            prop_assert_eq!(outbox.rest.capacity(), 0);
        }
    }

    #[test]
    fn a_begun_frame_is_finished_when_the_rest_is_dropped() {
        let sink = Scripted { script: RefCell::new([3, 0].into()), ..Scripted::default() };
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"first"));
        outbox.push(Bytes::from_static(b"second"));
        assert_eq!(outbox.write_to(&sink).unwrap(), Written { frames: 0, bytes: 3, calls: 1 });
        outbox.drop_unbegun();
        outbox.push(Bytes::from_static(b"close"));
        assert_eq!(outbox.queued(), 7);
        outbox.write_to(&sink).unwrap();
        assert_eq!(sink.taken.into_inner(), b"firstclose");
    }

    #[test]
    fn one_frame_at_a_time_never_allocates_a_queue() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(Bytes::from_static(b"frame"));
            assert_eq!(outbox.rest.capacity(), 0);
            outbox.write_to(&Scripted::default()).unwrap();
        }
    }
}
