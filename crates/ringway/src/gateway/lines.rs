//! Sessions whose connection only brings: what their clients send comes by requests of its own, and waits here until the task of the
//! connection takes it, in the order in which it came. So whatever holds up reading from a socket holds these up as well.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::TryRng;
use rand::rngs::SysRng;
use ringway_core::message::Post;
use ringway_edge::Conn;
use tokio::sync::oneshot;

/// Bytes that a client may have waiting; one message may always wait.
const WAITING_BYTES: usize = 1 << 20;

/// Bytes that all clients of a gateway together may have waiting of what came over links. What came here has a place among the requests.
const RELAYED_BYTES: usize = 32 << 20;

/// Posts that came over a link and are remembered, so that one that comes twice is taken once.
const REMEMBERED: usize = 256;

/// Names a session to its client's requests. Drawn by the operating system: who does not know it cannot speak for the session.
pub(super) type SessionName = u128;

/// A name that nobody can guess.
pub(super) fn draw_name() -> SessionName {
    let mut name = [0; 16];
    SysRng
        .try_fill_bytes(&mut name)
        .expect("the operating system has random numbers, or no client could get an id either");
    SessionName::from_be_bytes(name)
}

/// The sessions of a process that are spoken for by requests, by their names.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Mutex<HashMap<SessionName, Arc<Line>>>,
    /// Bytes that came over links and wait.
    relayed: Arc<AtomicUsize>,
}

/// The way of a session's requests to the task of its connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// `None` before it is open, and after its end.
    conn: Option<Arc<Conn>>,
    posts: VecDeque<Left>,
    /// Bytes of them.
    bytes: usize,
    is_over: bool,
    /// Numbers of those that came over links, the newest last.
    #[allow(clippy::box_collection, reason = "one word for every session, and few have any")]
    relayed: Option<Box<VecDeque<u64>>>,
}

#[derive(Debug)]
struct Left {
    data: Bytes,
    taken: oneshot::Sender<()>,
    /// What it takes of what may come over links.
    _room: Option<Room>,
}

/// Room that something takes until it is dropped.
#[derive(Debug)]
struct Room {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// `None`: there is none.
    fn take(of: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let taken = Self { of: of.clone(), bytes };
        let before = of.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= RELAYED_BYTES).then_some(taken)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A client has more waiting than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Lines {
    pub(super) fn open(&self, name: SessionName, line: Arc<Line>) {
        self.open.lock().insert(name, line);
    }

    pub(super) fn close(&self, name: SessionName) {
        self.open.lock().remove(&name);
    }

    pub(super) fn find(&self, name: SessionName) -> Option<Arc<Line>> {
        self.open.lock().get(&name).cloned()
    }

    /// Leaves what came over a link for its session; whether there is such a session. `None`: there is no room, now.
    pub(super) fn relay(&self, post: &Post) -> Option<bool> {
        let Some(line) = self.find(post.session) else { return Some(false) };
        let room = Room::take(&self.relayed, post.data.len())?;
        line.relay(post, room).then_some(true)
    }
}

impl Inner {
    fn leave(&mut self, data: Bytes, room: Option<Room>) -> Result<oneshot::Receiver<()>, Full> {
        if self.bytes > 0 && self.bytes + data.len() > WAITING_BYTES {
            return Err(Full);
        }
        let (taken, answer) = oneshot::channel();
        if self.is_over {
            return Ok(answer);
        }
        self.bytes += data.len();
        self.posts.push_back(Left { data, taken, _room: room });
        Ok(answer)
    }
}

impl Line {
    /// The connection is there.
    pub(super) fn begin(&self, conn: &Arc<Conn>) {
        self.inner.lock().conn = Some(conn.clone());
        conn.call();
    }

    /// It is there no more. What was not taken never will be.
    pub(super) fn end(&self) {
        *self.inner.lock() = Inner { is_over: true, ..Inner::default() };
    }

    /// Leaves something to be taken; the answer says when it was, and ends without one if it never will be.
    ///
    /// # Errors
    /// [`Full`]: it was not left.
    pub(super) fn post(&self, data: Bytes) -> Result<oneshot::Receiver<()>, Full> {
        let mut inner = self.inner.lock();
        let answer = inner.leave(data, None)?;
        let conn = inner.conn.clone();
        drop(inner);
        if let Some(conn) = conn {
            conn.call();
        }
        Ok(answer)
    }

    /// The same of what came over a link. False: there was no room. What comes a second time was left before.
    fn relay(&self, post: &Post, room: Room) -> bool {
        let mut inner = self.inner.lock();
        if inner.relayed.as_ref().is_some_and(|relayed| relayed.contains(&post.number)) {
            return true;
        }
        // Nobody waits here until it is taken: its client is told that it came.
        if inner.leave(post.data.clone(), Some(room)).is_err() {
            return false;
        }
        let relayed = inner.relayed.get_or_insert_default();
        if relayed.len() == REMEMBERED {
            relayed.pop_front();
        }
        relayed.push_back(post.number);
        let conn = inner.conn.clone();
        drop(inner);
        if let Some(conn) = conn {
            conn.call();
        }
        true
    }

    /// Takes the next one.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let post = inner.posts.pop_front()?;
        inner.bytes -= post.data.len();
        if inner.posts.is_empty() {
            inner.posts = VecDeque::new();
        }
        // Whoever left it may not wait any more.
        let _ = post.taken.send(());
        Some(post.data)
    }
}

#[cfg(test)]
mod tests {
    use ringway_core::Incarnation;

    use super::*;

    #[test]
    fn what_is_left_is_taken_in_order_and_told() {
        let line = Line::default();
        let mut answers: Vec<_> =
            ["a", "b"].into_iter().map(|data| line.post(Bytes::from_static(data.as_bytes())).unwrap()).collect();
        assert_eq!(line.take().unwrap(), "a");
        assert_eq!(answers[0].try_recv(), Ok(()));
        assert!(answers[1].try_recv().is_err());
        assert_eq!(line.take().unwrap(), "b");
        assert_eq!(line.take(), None);
        assert_eq!(line.inner.lock().posts.capacity(), 0, "an idle one holds nothing");
    }

    fn relayed(number: u64) -> Post {
        Post { gateway: Incarnation(1), session: 2, number, data: Bytes::from_static(b"x") }
    }

    /// Lines with one for the session of what is relayed.
    fn lines() -> (Lines, Arc<Line>) {
        let (lines, line) = (Lines::default(), Arc::new(Line::default()));
        lines.open(2, line.clone());
        (lines, line)
    }

    #[test]
    fn no_client_has_more_waiting_than_it_may() {
        let (lines, line) = lines();
        let message = || Bytes::from(vec![b'x'; WAITING_BYTES / 4]);
        let answers: Vec<_> = (0..4).map(|_| line.post(message()).unwrap()).collect();
        assert!(line.post(Bytes::from_static(b"x")).is_err() && lines.relay(&relayed(1)).is_none());
        line.take().unwrap();
        assert_eq!(lines.relay(&relayed(1)), Some(true), "it was not taken for one that had come");
        line.end();
        assert!(answers.into_iter().filter_map(|mut answer| answer.try_recv().ok()).count() == 1);
    }

    #[tokio::test]
    async fn what_is_left_at_the_end_is_answered() {
        let (_, line) = lines();
        let early = line.post(Bytes::from(vec![b'x'; 2 * WAITING_BYTES])).expect("one is always taken");
        line.end();
        let late = line.post(Bytes::from_static(b"x")).unwrap();
        assert!(early.await.is_err() && late.await.is_err(), "nobody waits for ever");
        assert!(line.take().is_none());
    }

    #[test]
    fn what_comes_twice_over_links_is_taken_once() {
        let (lines, line) = lines();
        assert!([7, 8, 7].into_iter().all(|number| lines.relay(&relayed(number)) == Some(true)));
        let taken = || std::iter::from_fn(|| line.take()).count();
        assert_eq!(taken(), 2);
        assert!((100..100 + REMEMBERED as u64).all(|number| lines.relay(&relayed(number)) == Some(true)));
        assert_eq!(taken(), REMEMBERED);
        assert_eq!(line.inner.lock().relayed.as_ref().unwrap().len(), REMEMBERED);
        assert_eq!(lines.relayed.load(Ordering::Relaxed), 0, "what was taken takes no room");
        lines.close(2);
        assert_eq!(lines.relay(&relayed(7)), Some(false));
    }

    #[test]
    fn all_together_have_a_limit_for_what_comes_over_links() {
        let (lines, line) = lines();
        let large = Post { data: Bytes::from(vec![b'x'; RELAYED_BYTES]), ..relayed(1) };
        assert_eq!((lines.relay(&large), lines.relay(&relayed(2))), (Some(true), None));
        line.end();
        assert_eq!(lines.relayed.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_idle_one_is_small() {
        assert!(size_of::<Line>() <= 72, "{}", size_of::<Line>());
    }
}
