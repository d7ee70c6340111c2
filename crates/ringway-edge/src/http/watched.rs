//! What a connection is busy with, and the deadlines that follow: one for the body of a request, one for the answer.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Body, BoxError};
use crate::door::{Class, Seat};
use crate::shared::Shared;
use crate::stats::add;

/// So much of an answer has to be taken within `answer_timeout`, again and again until there is no more.
const TAKEN_BYTES: usize = 64 << 10;

/// What the parts of one connection share: its seat, and how far its request is.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) seat: Seat,
    edge: Arc<Shared>,
    /// When the answer was there, or much more of it had been taken; `None` while there is none to be written.
    answered: Mutex<Option<Instant>>,
    /// The answer is in the connection's buffer, whole.
    is_produced: AtomicBool,
    is_late: AtomicBool,
}

impl Stage {
    pub(super) fn new(edge: Arc<Shared>, seat: Seat) -> Self {
        let (is_produced, is_late) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { seat, edge, answered: Mutex::new(None), is_produced, is_late }
    }

    /// A head has come. False: there is no room for what it asks.
    pub(super) fn begin(&self, address: IpAddr, class: Class) -> bool {
        self.is_late.store(false, Ordering::Relaxed);
        self.seat.begin(address, class)
    }

    /// The body did not come in time.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// The answer is there, and has its time from now on.
    pub(super) fn answer(self: &Arc<Self>, body: Body) -> Produced {
        self.is_produced.store(false, Ordering::Relaxed);
        *self.answered.lock() = Some(Instant::now());
        Produced { body, stage: self.clone() }
    }

    /// All answers so far are with the kernel.
    pub(super) fn is_idle(&self) -> bool {
        self.answered.lock().is_none()
    }

    /// All that was to be written is with the kernel.
    fn is_flushed(&self) {
        if self.is_produced.swap(false, Ordering::Relaxed) && self.answered.lock().take().is_some() {
            self.seat.rest();
        }
    }

    /// The client reads.
    fn is_read(&self) {
        if let Some(answered) = &mut *self.answered.lock() {
            *answered = Instant::now();
        }
    }

    fn answer_deadline(&self) -> Option<Instant> {
        Some((*self.answered.lock())? + self.edge.config.answer_timeout)
    }
}

/// A request's body, which ends with an error when it does not come in time.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    stage: Arc<Stage>,
    within: Duration,
    /// Made when the body has to be waited for: most are there with their head.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, stage: Arc<Stage>) -> Self {
        let within = stage.edge.config.body_timeout;
        Self { body, stage, within, deadline: None }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = Instant::now() + self.within;
        let sleep = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(sleep.as_mut().poll(cx));
        if !self.stage.is_late.swap(true, Ordering::Relaxed) {
            add(&self.stage.edge.stats.closed.body, 1);
        }
        Poll::Ready(Some(Err("the request's body did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, which says when it has been taken whole.
#[derive(Debug)]
pub(super) struct Produced {
    body: Body,
    stage: Arc<Stage>,
}

impl HttpBody for Produced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Produced {
    fn drop(&mut self) {
        self.stage.is_produced.store(true, Ordering::Relaxed);
    }
}

/// The stream of a connection in the HTTP stage. It ends with an error when an answer is not read in time.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    stage: Arc<Stage>,
    /// Bytes taken since the time of the answer began anew.
    taken: usize,
    /// Made when the kernel takes no more: most answers fit.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, stage: Arc<Stage>) -> Self {
        Self { stream, stage, taken: 0, deadline: None }
    }

    /// What came of a write.
    fn after(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => return self.hold(cx),
            Poll::Ready(Ok(bytes)) => self.taken += bytes,
            Poll::Ready(Err(_)) => {}
        }
        if self.taken >= TAKEN_BYTES {
            (self.taken, self.deadline) = (0, None);
            self.stage.is_read();
        }
        written
    }

    /// The kernel takes no more, for the client does not read.
    fn hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(until) = self.stage.answer_deadline() else { return Poll::Pending };
        let sleep = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(sleep.as_mut().poll(cx));
        add(&self.stage.edge.stats.closed.answer, 1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read in time")))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.after(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.deadline = None;
        self.stage.is_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
