//! What comes in on a connection: as fast as it does, or as slow as a test wants it.
//!
//! A slow direction is made where it ends. What has arrived waits in a line until it is due, and is then handed on at the
//! pace that was asked for. The line is short: when it is full the socket is not read, so the rest waits where it would on a
//! slow network, in the sender's queue.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;

use crate::fault::{Held, Slow};
use crate::limits::{READ_CHUNK, SLOW_BYTES};

/// At a pace, a twentieth of a second's bytes are handed on at a time.
const STEPS: u64 = 20;

/// The incoming bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    /// What has arrived and is not due, with when it came.
    line: VecDeque<(Instant, Bytes)>,
    waiting: usize,
    /// Nothing more is handed on before, for what went before is paid for until then.
    paid_until: Option<Instant>,
    /// What ended the connection, once the line is empty.
    end: Option<io::Result<usize>>,
}

impl Inflow {
    /// Adds what comes next to the buffer, as [`tokio::io::AsyncReadExt::read_buf`] does. Nothing is lost when this is dropped.
    pub(crate) async fn read(
        &mut self,
        socket: &mut OwnedReadHalf,
        held: &mut watch::Receiver<Held>,
        buffer: &mut BytesMut,
    ) -> io::Result<usize> {
        if self.line.is_empty() && self.end.is_none() && held.borrow_and_update().slow.is_none() {
            let before = buffer.len();
            let length = read_some(socket, buffer).await?;
            if length == 0 || held.borrow().slow.is_none() {
                return Ok(length);
            }
            // It was asked for meanwhile.
            self.arrived(buffer.split_off(before).freeze());
        }
        self.read_slowly(socket, held, buffer).await
    }

    async fn read_slowly(
        &mut self,
        socket: &mut OwnedReadHalf,
        held: &mut watch::Receiver<Held>,
        buffer: &mut BytesMut,
    ) -> io::Result<usize> {
        let mut arriving = BytesMut::new();
        loop {
            let slow = held.borrow_and_update().slow;
            let due = self.due(slow);
            if due.is_some_and(|due| due <= Instant::now()) {
                return Ok(self.hand_on(slow, buffer));
            }
            if self.line.is_empty() {
                if let Some(end) = self.end.take() {
                    return end;
                }
                if slow.is_none() {
                    return read_some(socket, buffer).await;
                }
            }
            arriving.reserve(READ_CHUNK);
            tokio::select! {
                length = read_some(socket, &mut arriving), if self.end.is_none() && self.waiting < SLOW_BYTES => {
                    match length {
                        Ok(1..) => self.arrived(arriving.split().freeze()),
                        end => self.end = Some(end),
                    }
                }
                () = sleep_until(due) => {}
                changed = held.changed() => if changed.is_err() { return Ok(0) },
            }
        }
    }

    fn arrived(&mut self, bytes: Bytes) {
        self.waiting += bytes.len();
        self.line.push_back((Instant::now(), bytes));
    }

    /// When the front of the line may be handed on. `None`: not as things are.
    fn due(&self, slow: Option<Slow>) -> Option<Instant> {
        let (came, _) = self.line.front()?;
        let Some(slow) = slow else { return Some(*came) };
        let due = *came + slow.delay;
        match slow.bytes_per_second {
            Some(0) => None,
            Some(_) => Some(self.paid_until.map_or(due, |paid| paid.max(due))),
            None => Some(due),
        }
    }

    fn hand_on(&mut self, slow: Option<Slow>, buffer: &mut BytesMut) -> usize {
        let Some((_, front)) = self.line.front_mut() else { return 0 };
        let pace = slow.and_then(|slow| slow.bytes_per_second).filter(|pace| *pace > 0);
        let most = pace.map_or(usize::MAX, |pace| usize::try_from(pace.div_ceil(STEPS)).unwrap_or(usize::MAX));
        let length = front.len().min(most);
        buffer.put_slice(&front[..length]);
        front.advance(length);
        if front.is_empty() {
            self.line.pop_front();
        }
        self.waiting -= length;
        self.paid_until = pace.map(|pace| {
            let now = Instant::now();
            // A turn that comes late is not made up for in full, or a pause would end in a burst.
            let from = self.paid_until.filter(|paid| *paid + Duration::from_millis(100) > now).unwrap_or(now);
            from + Duration::from_secs_f64(length as f64 / pace as f64)
        });
        length
    }
}

async fn read_some(socket: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<usize> {
    use tokio::io::AsyncReadExt;
    socket.read_buf(&mut buffer.limit(READ_CHUNK)).await
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
