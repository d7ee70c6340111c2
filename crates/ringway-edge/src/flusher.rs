//! The way to the writers, for whoever feeds many sockets.

use crate::Conn;
use crate::shared::Shared;
use crate::stats::add;
use crate::writers::Handed;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes at sockets in the line. Above it the feeder writes itself, which holds it up: what it makes cannot outgrow what can be
/// written. Enough for a message of 1 KiB to 16,000 sockets.
const AHEAD: usize = 16 << 20;

/// Where one task names the sockets that it has fed, to have them written when its turn ends.
#[derive(Debug)]
pub struct Flusher {
    edge: Arc<Shared>,
    batch: Vec<Arc<dyn Handed>>,
}

impl Flusher {
    pub(crate) fn new(edge: Arc<Shared>) -> Self {
        Self { edge, batch: Vec::new() }
    }

    /// Has what is queued at this socket written: by a writer when the batch ends, or now where there are no writers, or they are behind.
    pub fn add(&mut self, conn: &Arc<Conn>) {
        let Some(_) = &self.edge.writers else { return conn.flush() };
        let stats = &self.edge.stats;
        if stats.unwritten.load(Ordering::Relaxed) > AHEAD {
            add(&stats.overtaken, 1);
            return conn.flush();
        }
        if conn.hand_over() {
            self.batch.push(conn.clone());
        }
    }

    /// Ends the batch.
    pub fn end(&mut self) {
        if let Some(writers) = self.edge.writers.as_ref().filter(|_| !self.batch.is_empty()) {
            writers.take(&mut self.batch);
            // Whatever the writers did not take.
            self.batch.drain(..).for_each(|conn| conn.write_handed());
        }
    }
}
