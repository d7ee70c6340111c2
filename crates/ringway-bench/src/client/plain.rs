//! A user of the plain protocol: `/socket/{user}`, type 1 on arrival, `@user:text` to send.

use std::fmt::Write;
use std::sync::Arc;

use serde::Deserialize;

use super::{Entry, Observer, online};
use crate::socket::{Closed, Handler, Socket};
use crate::stamp::{Stamp, stamps};
use ringway_http::Target;

/// The `type` of what a server sends.
mod kind {
    pub(super) const WELCOME: u8 = 1;
    pub(super) const RECONNECT: u8 = 2;
    pub(super) const MESSAGE: u8 = 3;
    pub(super) const STATUS: u8 = 4;
    pub(super) const REFUSED: u8 = 5;
}

/// Connects as `user`; online once the server's welcome came.
///
/// # Errors
/// The connection, the upgrade or the welcome failed.
pub async fn connect<O: Observer>(
    target: &Target,
    user: &str,
    client: u32,
    observer: Arc<O>,
) -> anyhow::Result<Socket> {
    let (entry, ready) = Entry::new();
    let socket = Socket::connect(target, &format!("/socket/{user}"), PlainHandler { client, observer, entry }).await?;
    online(ready, socket).await
}

/// Writes the text frame that sends `stamp`, padded to `payload` bytes, to `user`.
pub fn write_message(text: &mut String, user: &str, stamp: &Stamp, payload: usize) {
    // Writing to a String cannot fail.
    let _ = write!(text, "@{user}:");
    stamp.write(text, payload);
}

struct PlainHandler<O> {
    client: u32,
    observer: Arc<O>,
    entry: Entry,
}

impl<O: Observer> Handler for PlainHandler<O> {
    fn text(&mut self, text: &str, _: &Socket) {
        let Self { client, observer, entry } = self;
        observer.heard(*client);
        match kind_of(text) {
            Some(kind::MESSAGE) => stamps(text.as_bytes()).for_each(|stamp| observer.delivered(*client, stamp)),
            Some(kind::WELCOME) => entry.tell(Ok(())),
            Some(kind::REFUSED) => observer.refused(*client, None, text),
            Some(kind::RECONNECT) => observer.reconnect_asked(*client),
            Some(kind::STATUS) => {}
            _ => observer.refused(*client, None, &format!("a frame that is none of the plain protocol: {text}")),
        }
    }

    fn pinged(&mut self) {
        self.observer.pinged(self.client);
    }

    fn closed(&mut self, closed: &Closed) {
        self.entry.tell_closed(closed);
        self.observer.closed(self.client, closed);
    }
}

/// The `type` of a frame. Ringway writes it first, which saves reading the rest.
fn kind_of(text: &str) -> Option<u8> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: u8,
    }
    match text.as_bytes().strip_prefix(br#"{"type":"#) {
        Some([digit @ b'0'..=b'9', b',' | b'}', ..]) => Some(digit - b'0'),
        _ => serde_json::from_str::<Kind>(text).ok().map(|found| found.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_wherever_it_stands() {
        assert_eq!(kind_of(r#"{"type":3,"content":"x"}"#), Some(3));
        assert_eq!(kind_of(r#"{"content":"{\"type\":1}", "type": 4}"#), Some(4));
        assert_eq!(kind_of(r#"{"type":31}"#), Some(31));
        assert_eq!(kind_of("hello"), None);
    }
}
