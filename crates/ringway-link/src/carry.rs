//! A connection from its `Up` to its `Down`: a task that reads and a task that writes.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use ringway_core::message::Frame;
use ringway_protocol::link::{Decoder, Encoder, FrameError, Handshake, Taken, UnknownKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::connection::{Connection, LinkSender};
use crate::end::Ended;
use crate::event::Event;
use crate::fault::Held;
use crate::handshake::send;
use crate::inflow::Inflow;
use crate::limits::{KEEP_BUFFER, READ_CHUNK, WRITE_PIECE};
use crate::outgoing::Outgoing;
use crate::shared::{Ready, Shared};

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// Carries frames on what a handshake has made, in a task of its own, until the connection ends.
pub(crate) fn run(shared: &Arc<Shared>, ready: Ready) {
    let Ready { connection, mut stream, go, replaced } = ready;
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Some(number) = go
            && let Err(error) = send(&mut stream, &Handshake::Go(number)).await
        {
            connection.end(Ended::Broken(Arc::new(error)));
        }
        connection.run(stream, replaced, shared).await;
    });
}

impl Connection {
    /// Tells its `Up`, carries frames until something ends it, tells its `Down`. The connection that it replaces
    /// tells its own `Down` first.
    async fn run(self: Arc<Self>, stream: TcpStream, replaced: Option<Arc<Self>>, shared: Arc<Shared>) {
        if let Some(old) = replaced {
            old.end(Ended::Replaced);
            old.finished.cancelled().await;
        }
        if self.tell_up(&shared.events).await {
            self.carry(stream, &shared).await;
            let reason = self.reason.get().cloned().unwrap_or(Ended::ShutDown);
            let down = Event::Down { link: self.id, peer: self.peer.clone(), reason };
            let _ = shared.events.send(down).await;
        }
        // Without a receiver of events nothing has ended it yet.
        self.end(Ended::ShutDown);
        self.finished.cancel();
        shared.pairs.remove(&self);
    }

    /// `false`: it ended before it could be told, and then nothing of it is.
    async fn tell_up(self: &Arc<Self>, events: &mpsc::Sender<Event>) -> bool {
        let up = Event::Up { link: self.id, peer: self.peer.clone(), sender: LinkSender(Arc::clone(self)) };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            told = events.send(up) => told.is_ok(),
        }
    }

    /// Reads and writes until something ends the connection; then the socket is closed.
    async fn carry(self: &Arc<Self>, stream: TcpStream, shared: &Shared) {
        let (mut reading, writing) = stream.into_split();
        let flushed = CancellationToken::new();
        let writer = tokio::spawn(write(Arc::clone(self), writing, flushed.clone()));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.closing.cancelled() => {
                let parting = async {
                    flushed.cancelled().await;
                    drain(&mut reading).await;
                };
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    _ = timeout(shared.limits.flush, parting) => {}
                }
                self.end(Ended::Forgotten);
            }
            reason = self.read(&mut reading, &shared.events) => self.end(reason),
        }
        drop(reading);
        writer.abort();
        let _ = writer.await;
    }

    /// Hands on what arrives, a batch for each read, until the connection ends.
    async fn read(&self, socket: &mut OwnedReadHalf, events: &mpsc::Sender<Event>) -> Ended {
        let mut held = self.held.subscribe();
        let (mut buffer, mut inflow) = (BytesMut::new(), Inflow::default());
        let (mut decoder, mut unknown) = (Decoder::default(), BTreeSet::new());
        loop {
            if buffer.is_empty() && buffer.capacity() > KEEP_BUFFER {
                buffer = BytesMut::new();
            }
            buffer.reserve(READ_CHUNK);
            match inflow.read(socket, &mut held, &mut buffer).await {
                Ok(0) => return self.after_cut(&mut held, Ended::Closed).await,
                Ok(length) => count(&self.counters.bytes_in, length),
                Err(error) => return self.after_cut(&mut held, Ended::Broken(Arc::new(error))).await,
            }
            let _ = held.wait_for(|held| !held.incoming).await;
            self.heard.store(self.age(), Ordering::Relaxed);
            let came = buffer.len();
            let Read { frames, skipped, fault } = take_frames(&mut decoder, &mut buffer);
            count(&self.counters.reads, 1);
            count(&self.counters.frames_in, frames.len());
            count(&self.counters.frames_skipped, skipped.len());
            for kind in skipped.into_iter().filter(|kind| unknown.insert(*kind)) {
                self.tell_skipped(kind);
            }
            if !frames.is_empty() {
                let bytes = came - buffer.len();
                let batch = Event::Frames { link: self.id, peer: self.peer.incarnation, frames, bytes };
                if events.send(batch).await.is_err() {
                    return Ended::ShutDown;
                }
            }
            if let Some(fault) = fault {
                return Ended::Malformed(fault);
            }
        }
    }

    /// Said once for each kind and connection. A message of an unknown kind may be one that can be done without.
    fn tell_skipped(&self, unknown: UnknownKind) {
        let (peer, version) = (&self.peer.id, self.version);
        if unknown.is_message() {
            debug!(%peer, version, "messages that this release does not know are skipped: {unknown}");
        } else {
            warn!(%peer, version, "messages that this release cannot read are skipped: {unknown}; run the same release on both");
        }
    }

    /// Encodes frames until the piece is large enough. Their size before that; 0 when there are none.
    fn fill(&self, encoder: &mut Encoder, piece: &mut BytesMut, frames: &mut impl Iterator<Item = Frame>) -> usize {
        let mut taken = 0;
        while piece.len() < WRITE_PIECE {
            let Some(frame) = frames.next() else { break };
            taken += frame.size();
            if let Err(error) = encoder.encode(&frame, piece) {
                debug!(peer = %self.peer.id, %error, "a frame is not sent");
            }
            #[cfg(feature = "next")]
            if self.version >= ringway_protocol::link::next::VERSION {
                ringway_protocol::link::next::put_kind(piece);
            }
        }
        taken
    }

    /// An end of the connection is not seen either while what comes in is cut off.
    async fn after_cut(&self, held: &mut watch::Receiver<Held>, reason: Ended) -> Ended {
        let _ = held.wait_for(|held| !held.incoming).await;
        reason
    }
}

/// What one read has brought.
struct Read {
    frames: Vec<Frame>,
    /// Frames of later versions, by what is unknown of them.
    skipped: Vec<UnknownKind>,
    /// What ended it.
    fault: Option<FrameError>,
}

/// All whole frames at the front of the buffer, up to the fault that ends them, if one does.
fn take_frames(decoder: &mut Decoder, buffer: &mut BytesMut) -> Read {
    let (mut frames, mut skipped) = (Vec::new(), Vec::new());
    loop {
        match decoder.decode(buffer) {
            Ok(Some(Taken::Frame(frame))) => frames.push(frame),
            Ok(Some(Taken::Skipped(unknown))) => skipped.push(unknown),
            Ok(None) => return Read { frames, skipped, fault: None },
            Err(fault) => return Read { frames, skipped, fault: Some(fault) },
        }
    }
}

/// Encodes and writes what is queued: all that waits with one call, or a piece after the other where it is much. Ends with the queue, having
/// told the other end that nothing more will come.
async fn write(connection: Arc<Connection>, mut socket: OwnedWriteHalf, flushed: CancellationToken) {
    let mut held = connection.held.subscribe();
    let (mut batch, mut piece, mut encoder) = (Vec::new(), BytesMut::new(), Encoder::default());
    while connection.outgoing.take(&mut batch).await {
        let _ = held.wait_for(|held| !held.outgoing).await;
        let mut frames = batch.drain(..);
        loop {
            let taken = connection.fill(&mut encoder, &mut piece, &mut frames);
            if taken == 0 {
                break;
            }
            if let Err(error) = write_batch(&connection, &mut socket, &piece).await {
                return connection.end(Ended::Broken(Arc::new(error)));
            }
            connection.outgoing.written(taken);
            piece.clear();
        }
        drop(frames);
        Outgoing::done(&mut batch);
        if piece.capacity() > KEEP_BUFFER {
            piece = BytesMut::new();
        }
    }
    let _ = socket.shutdown().await;
    flushed.cancel();
}

async fn write_batch(connection: &Connection, socket: &mut OwnedWriteHalf, mut batch: &[u8]) -> io::Result<()> {
    while !batch.is_empty() {
        let written = socket.write(batch).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        count(&connection.counters.bytes_out, written);
        count(&connection.counters.writes, 1);
        batch = &batch[written..];
    }
    Ok(())
}

/// Reads to the end and forgets it: closing a socket with unread bytes would take back what the other end has not
/// read yet.
async fn drain(socket: &mut OwnedReadHalf) {
    let mut forgotten = vec![0; READ_CHUNK];
    while matches!(socket.read(&mut forgotten).await, Ok(1..)) {}
}
