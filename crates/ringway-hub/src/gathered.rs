//! Answers that go out whole because their length stands before them: what was read for one, page by page, until the last is there.
//!
//! Other answers go out part by part and are never held. What is held here has two bounds, of one answer and of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of what is read for one answer. A history is cut there, and goes on from its last publication; presence is error 106.
pub(super) const ANSWER_BYTES: usize = 16 << 20;

/// Bytes that are held for all answers together. The one that finds no room is error 111, and its client may ask again.
pub(super) const ALL_BYTES: usize = 64 << 20;

/// Counts what is held for all answers.
#[derive(Debug, Default, Clone)]
pub(super) struct Gathering(Arc<AtomicUsize>);

/// What was read for one answer. Whoever drops it gives its room back.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    items: Vec<T>,
    bytes: usize,
    all: Gathering,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is held.
    Held,
    /// The answer would be larger than it may be. The page is not taken.
    TooLarge,
    /// All answers hold as much as they may. The page is not taken.
    Crowded,
}

impl Gathering {
    /// Begins an answer.
    pub(super) fn begin<T>(&self) -> Gathered<T> {
        Gathered { items: Vec::new(), bytes: 0, all: self.clone() }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn fill(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl<T: Clone> Gathered<T> {
    /// Adds a page, or nothing of it.
    pub(super) fn add(&mut self, page: &[T], size: impl Fn(&T) -> usize) -> Added {
        let bytes: usize = page.iter().map(size).sum();
        if self.bytes + bytes > ANSWER_BYTES {
            return Added::TooLarge;
        }
        if self.all.0.load(Ordering::Relaxed) + bytes > ALL_BYTES {
            return Added::Crowded;
        }
        self.all.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        self.items.extend_from_slice(page);
        Added::Held
    }

    /// All that was added.
    pub(super) fn take(mut self) -> Vec<T> {
        std::mem::take(&mut self.items)
    }
}

impl<T> Drop for Gathered<T> {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_by_whoever_drops_an_answer() {
        let all = Gathering::default();
        let (mut one, mut other) = (all.begin(), all.begin());
        assert_eq!((one.add(&[1, 2], |_| 5), other.add(&[3], |_| 7)), (Added::Held, Added::Held));
        assert_eq!(all.bytes(), 17);
        assert_eq!(one.add(&[4], |_| ANSWER_BYTES - 9), Added::TooLarge);
        all.fill(ALL_BYTES - 20);
        assert_eq!(one.add(&[4], |_| 4), Added::Crowded);
        assert_eq!((one.take(), all.bytes()), (vec![1, 2], ALL_BYTES - 13));
        drop(other);
        assert_eq!(all.bytes(), ALL_BYTES - 20);
    }
}
