//! A client of the Centrifuge protocol, in JSON or Protobuf, with one channel: connects, subscribes, publishes, answers pings, and takes its subscription anew
//! from its position when the server says that it must. Of a channel that began anew it asks for all of the new life, from its beginning.

mod message;

use std::fmt::Write;
use std::sync::Arc;

use memchr::memmem;
use prost::Message as _;

use super::{Entry, Form, Observer, Position, Resumed, online};
use crate::socket::{Closed, Handler, SendError, Socket};
use crate::stamp::{Stamp, stamps};
use message::{Failure, Push, Reply, Sent, Subscribed, Unsubscribe, messages, send};
use ringway_http::Target;

/// Command ids: the connect command, ...
const CONNECT: u32 = 1;
/// ... the first subscribe, ...
const SUBSCRIBE: u32 = 2;
/// ... publishes, which begin here, ...
const PUBLISH: u32 = 16;
/// ... and later subscribes, counted in the upper half so that they never meet a publish.
const RESUBSCRIBE: u32 = 1 << 31;
/// An unsubscribe push with this code or a higher one asks to subscribe again; a lower one is final.
const UNSUBSCRIBED_FOR_NOW: u32 = 2500;

/// Connects and subscribes to `channel`, from a position if the client has one; online once the server said yes to both. Whether the position
/// could be recovered is told as after any later subscribe.
///
/// # Errors
/// The connection, the upgrade, the connect or the subscribe command failed.
pub async fn connect<O: Observer>(
    target: &Target,
    form: Form,
    channel: &str,
    from: Option<Position>,
    client: u32,
    observer: Arc<O>,
) -> anyhow::Result<Socket> {
    let (entry, ready) = Entry::new();
    let returns = from.is_some();
    let Position { epoch, offset } = from.unwrap_or_else(|| Position { epoch: "".into(), offset: 0 });
    let at = epoch.clone();
    let handler = CentrifugeHandler {
        client,
        form,
        observer,
        entry,
        channel: channel.into(),
        offset,
        epoch,
        returns,
        resubscribes: 0,
        rereads: None,
    };
    let socket = Socket::connect(target, form.path(), handler).await?;
    let from = returns.then_some((&*at, offset));
    send(form, &socket, &[Sent::Connect(CONNECT), Sent::Subscribe(SUBSCRIBE, channel, from)])?;
    online(ready, socket).await
}

/// The command id of a client's publish number `seq`. It comes round after 2^31 publishes, far more than are ever unanswered.
pub fn publish_id(seq: u64) -> u32 {
    let span = u64::from(RESUBSCRIBE - PUBLISH);
    PUBLISH + u32::try_from(seq % span).expect("a remainder of a 31-bit number")
}

/// The number of the publish that a command id belongs to, as long as a client sends fewer than 2^31.
pub fn publish_seq(id: u32) -> u64 {
    u64::from(id - PUBLISH)
}

/// Sends the command that publishes `stamp`, padded to `payload` bytes, as a JSON string. `text` is for writing in.
///
/// # Errors
/// The socket has ended or is too far behind.
pub fn publish(
    socket: &Socket,
    form: Form,
    text: &mut String,
    channel: &str,
    stamp: &Stamp,
    payload: usize,
) -> Result<(), SendError> {
    let id = publish_id(stamp.seq);
    if form == Form::Json {
        // Writing to a String cannot fail. Channel names that need escaping are not for load tests.
        let _ = write!(text, r#"{{"id":{id},"publish":{{"channel":"{channel}","data":"#);
    }
    text.push('"');
    stamp.write(text, payload.saturating_sub(2));
    text.push('"');
    match form {
        Form::Json => {
            text.push_str("}}");
            socket.send_text(text)
        }
        Form::Protobuf => socket.send_binary(&message::publish(id, channel, text)),
    }
}

struct CentrifugeHandler<O> {
    client: u32,
    form: Form,
    observer: Arc<O>,
    entry: Entry,
    channel: Box<str>,
    /// The position up to which everything came.
    offset: u64,
    epoch: Box<str>,
    /// It has been online before: its first subscribe recovers.
    returns: bool,
    resubscribes: u32,
    /// The subscribe that asks for a new life from its beginning. What comes before its answer is in that answer, too.
    rereads: Option<u32>,
}

impl<O: Observer> Handler for CentrifugeHandler<O> {
    fn text(&mut self, text: &str, socket: &Socket) {
        self.observer.heard(self.client);
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            if line == "{}" {
                self.pong(socket);
            } else if is_publication(line) {
                self.publication(line.as_bytes(), offset_in(line));
            } else {
                self.reply(serde_json::from_str(line).ok(), line.as_bytes(), socket);
            }
        }
    }

    fn binary(&mut self, frame: &[u8], socket: &Socket) -> bool {
        self.observer.heard(self.client);
        for message in messages(frame) {
            match Reply::decode(message) {
                _ if message.is_empty() => self.pong(socket),
                Ok(Reply { push: Some(Push { r#pub: Some(publication), .. }), .. }) => {
                    self.publication(message, Some(publication.offset).filter(|offset| *offset > 0));
                }
                reply => self.reply(reply.ok(), message, socket),
            }
        }
        self.form == Form::Protobuf
    }

    fn closed(&mut self, closed: &Closed) {
        self.entry.tell_closed(closed);
        if !self.epoch.is_empty() {
            let position = Position { epoch: self.epoch.clone(), offset: self.has_all_up_to() };
            self.observer.left_at(self.client, position);
        }
        self.observer.closed(self.client, closed);
    }
}

impl<O: Observer> CentrifugeHandler<O> {
    fn pong(&self, socket: &Socket) {
        // A pong that cannot be sent is followed by the socket's end, which is reported.
        let _ = send(self.form, socket, &[Sent::Pong]);
    }

    fn publication(&mut self, message: &[u8], offset: Option<u64>) {
        self.offset = offset.unwrap_or(self.offset);
        if self.rereads.is_none() {
            stamps(message).for_each(|stamp| self.observer.delivered(self.client, stamp));
        }
    }

    fn reply(&mut self, reply: Option<Reply>, message: &[u8], socket: &Socket) {
        let Some(reply) = reply else {
            let text = String::from_utf8_lossy(message);
            self.observer.refused(self.client, None, &format!("a frame that is none of the protocol: {text}"));
            return;
        };
        match reply {
            Reply { push: Some(Push { unsubscribe: Some(unsubscribe), .. }), .. } => {
                self.unsubscribed(unsubscribe, socket);
            }
            Reply { push: Some(_), .. } => {}
            Reply { id, error: Some(Failure { code, message }), .. } => {
                let id = (PUBLISH..RESUBSCRIBE).contains(&id).then_some(id);
                self.observer.refused(self.client, id, &format!("error {code}: {message}"));
                if id.is_none() {
                    self.entry.tell(Err(format!("the server answered with error {code}: {message}")));
                }
            }
            Reply { id, subscribe: Some(subscribed), .. } => self.subscribed(id, message, subscribed, socket),
            Reply { id, .. } if (PUBLISH..RESUBSCRIBE).contains(&id) => self.observer.acknowledged(self.client, id),
            Reply { .. } => {}
        }
    }

    fn subscribed(&mut self, id: u32, message: &[u8], subscribed: Subscribed, socket: &Socket) {
        let Subscribed { offset, epoch, recovered, publications } = subscribed;
        self.offset = publications.last().map_or(offset, |last| last.offset);
        let before = std::mem::replace(&mut self.epoch, epoch.into());
        let is_first = id == SUBSCRIBE && !self.returns;
        let resumed = resumed(&before, &self.epoch, recovered);
        let begins_anew = resumed == Resumed::BeganAnew && !is_first;
        if !begins_anew {
            stamps(message).for_each(|stamp| self.observer.delivered(self.client, stamp));
        }
        match self.rereads.take_if(|reread| *reread == id) {
            // That the stream is a new one was told before.
            Some(_) if resumed == Resumed::Recovered => {}
            _ if is_first => {}
            _ => self.observer.resubscribed(self.client, resumed),
        }
        if begins_anew {
            self.reread(socket);
        }
        if id == SUBSCRIBE {
            self.entry.tell(Ok(()));
        }
    }

    /// Others may have published in the new life before this client came: it asks for that life from its beginning.
    fn reread(&mut self, socket: &Socket) {
        let [leave, again] = [self.next_id(), self.next_id()];
        let subscribe = Sent::Subscribe(again, &self.channel, Some((&self.epoch, 0)));
        self.rereads = Some(again);
        // If it cannot be sent, the socket has ended, which is reported.
        let _ = send(self.form, socket, &[Sent::Unsubscribe(leave, &self.channel), subscribe]);
    }

    /// What came while the beginning of a new life was asked for was not taken.
    fn has_all_up_to(&self) -> u64 {
        if self.rereads.is_some() { 0 } else { self.offset }
    }

    fn next_id(&mut self) -> u32 {
        let id = RESUBSCRIBE | self.resubscribes;
        self.resubscribes = (self.resubscribes + 1) % RESUBSCRIBE;
        id
    }

    fn unsubscribed(&mut self, unsubscribe: Unsubscribe, socket: &Socket) {
        let Unsubscribe { code, reason } = unsubscribe;
        if code < UNSUBSCRIBED_FOR_NOW {
            self.observer.refused(self.client, None, &format!("unsubscribed for good with {code}: {reason}"));
            return;
        }
        let id = self.next_id();
        let offset = self.has_all_up_to();
        self.rereads = None;
        // If it cannot be sent, the socket has ended, which is reported.
        let _ = send(self.form, socket, &[Sent::Subscribe(id, &self.channel, Some((&self.epoch, offset)))]);
    }
}

/// What the answer to a subscribe with a position means.
fn resumed(before: &str, now: &str, recovered: bool) -> Resumed {
    match (recovered, before.is_empty() || before == now) {
        (true, true) => Resumed::Recovered,
        (false, false) => Resumed::BeganAnew,
        _ => Resumed::Lost,
    }
}

/// The offset of the publication in a line, without parsing: our data holds neither quotes nor the words that are looked for.
fn offset_in(line: &str) -> Option<u64> {
    let bytes = line.as_bytes();
    let at = memmem::rfind(bytes, br#""offset":"#)?;
    let digits = bytes[at + 9..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |offset, digit| offset * 10 + u64::from(digit - b'0')))
}

/// Whether a line is a publication push, by where the protocol's writers put the words.
fn is_publication(line: &str) -> bool {
    line.starts_with(r#"{"push":{"#) && memmem::find(line.as_bytes(), br#""pub":{"#).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_a_loss() {
        assert_eq!(resumed("a", "a", true), Resumed::Recovered);
        assert_eq!(resumed("", "a", true), Resumed::Recovered);
        assert_eq!(resumed("a", "b", false), Resumed::BeganAnew);
        assert_eq!(resumed("a", "a", false), Resumed::Lost, "something is missing");
        assert_eq!(resumed("a", "b", true), Resumed::Lost, "another stream cannot go on where this one was");
    }
}
