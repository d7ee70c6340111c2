//! Every bound of a link, with its reason and what happens there.

use std::time::Duration;

/// Bytes asked of the socket at a time: large enough that a busy link takes hundreds of frames with one call, small
/// enough that an event stays in the processor's cache.
pub(crate) const READ_CHUNK: usize = 64 * 1024;

/// A read or write buffer that grew beyond this is given back once it is empty, so that one burst, or one long
/// state, does not cost its size for ever.
pub(crate) const KEEP_BUFFER: usize = 256 * 1024;

/// The same for the list of frames that wait to be encoded.
pub(crate) const KEEP_FRAMES: usize = 1_024;

/// Frames are encoded and written in pieces of about so many bytes: what is taken at once may be all that a queue holds.
pub(crate) const WRITE_PIECE: usize = 256 * 1024;

/// Bytes that wait in this process where a test makes a direction slow: what 32 MB/s bring in a quarter of a second. When
/// they are there, the socket is not read, and the rest waits at its sender.
pub(crate) const SLOW_BYTES: usize = 8 * 1024 * 1024;

/// Connections that the kernel may hold for us before we take them: a whole cluster that reconnects at once.
pub(crate) const BACKLOG: u32 = 1_024;

/// Bounds of the links of one member.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that may wait for one peer, by the size of frames before they are encoded. A frame that finds as many waiting closes the link instead.
    pub queue_bytes: usize,
    /// Events that may wait for the member's task, each up to what one read brought. When it is full the readers stop
    /// reading, and TCP holds the senders back.
    pub events: usize,
    /// Time for connecting and shaking hands. What is not through by then is closed. Longer than any scheduling
    /// hiccup, and no longer than it takes to suspect a silent member twice over.
    pub handshake: Duration,
    /// Connections that are shaking hands. Above it, the one that has been at it for longest is closed for a newcomer.
    pub unauthenticated: usize,
    /// The same beside these for addresses from which a member has proved who it is.
    pub reserved: usize,
    /// First pause after a failed dial. Short, because a refusal is what proves a death: it must be asked for at once.
    pub first_pause: Duration,
    /// Longest pause between dials; a member that is back is found within it.
    pub longest_pause: Duration,
    /// Time for writing out what is queued when a link is closed in good order.
    pub flush: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_bytes: 32 * 1024 * 1024,
            events: 128,
            handshake: Duration::from_secs(3),
            unauthenticated: 64,
            reserved: 64,
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(500),
            flush: Duration::from_secs(1),
        }
    }
}
