//! What a client sees of a gateway's frames. What comes all the time is read by hand, where it stands; the rest is JSON to a library.

use ringway_core::Position;
use ringway_core::id::StreamEpoch;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One thing that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The protocol's own ping.
    Ping,
    /// A publication of a channel. `offset`: 0 without history.
    Pushed { channel: usize, publication: u32, offset: u64 },
    /// It is in the channel no more.
    Unsubscribed { channel: usize },
    /// A command is answered.
    Answered { id: u32, reply: Answer },
    /// First message of a plain session.
    Greeted,
    /// It is to connect elsewhere.
    Reconnect,
    /// A message of its inbox.
    Message(u32),
    /// News of its owner, or what became of a message.
    News,
    /// It makes no sense.
    Nonsense(String),
}

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Failed(u16),
    Connected { personal: Option<(usize, Subscribed)> },
    Subscribed(Subscribed),
    Unsubscribed,
    Published,
    History { top: Option<Position>, publications: Vec<(u64, u32)> },
    Present(usize),
}

/// How a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscribed {
    /// The stream and the offset that the publications follow; `None` where the channel keeps nothing.
    pub(crate) at: Option<Position>,
    pub(crate) recovered: bool,
    pub(crate) was_recovering: bool,
    pub(crate) publications: Vec<(u64, u32)>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    id: u32,
    error: Option<Fault>,
    #[serde(borrow)]
    connect: Option<Connect<'a>>,
    #[serde(borrow)]
    subscribe: Option<Subscribe<'a>>,
    unsubscribe: Option<Nothing>,
    publish: Option<Nothing>,
    #[serde(borrow)]
    history: Option<Subscribe<'a>>,
    presence: Option<Presence>,
    presence_stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Fault {
    code: u16,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    num_clients: usize,
}

#[derive(Deserialize)]
struct Presence {
    presence: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Connect<'a> {
    #[serde(borrow, default)]
    subs: std::collections::BTreeMap<&'a str, Subscribe<'a>>,
}

#[derive(Deserialize)]
struct Subscribe<'a> {
    #[serde(default)]
    epoch: &'a str,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    recovered: bool,
    #[serde(default)]
    was_recovering: bool,
    #[serde(default)]
    positioned: bool,
    #[serde(borrow, default)]
    publications: Vec<Publication<'a>>,
}

#[derive(Deserialize)]
struct Publication<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    offset: u64,
}

impl Subscribe<'_> {
    fn at(&self) -> Option<Position> {
        Some(Position { epoch: StreamEpoch::parse(self.epoch)?, offset: self.offset })
    }

    fn publications(&self) -> Vec<(u64, u32)> {
        self.publications.iter().map(|one| (one.offset, publication_in(one.data.get().as_bytes()))).collect()
    }

    fn told(&self) -> Subscribed {
        Subscribed {
            at: self.at().filter(|_| self.positioned),
            recovered: self.recovered,
            was_recovering: self.was_recovering,
            publications: self.publications(),
        }
    }
}

impl Reply<'_> {
    fn answer(&self) -> Option<Answer> {
        let failed = self.error.as_ref().map(|fault| Answer::Failed(fault.code));
        let subscribed = || self.subscribe.as_ref().map(|result| Answer::Subscribed(result.told()));
        let connected = || {
            let connect = self.connect.as_ref()?;
            let personal =
                connect.subs.iter().next().map(|(name, result)| (channel_in(name.as_bytes()), result.told()));
            Some(Answer::Connected { personal })
        };
        let history = || {
            let history = self.history.as_ref()?;
            Some(Answer::History { top: history.at(), publications: history.publications() })
        };
        let present = || {
            let clients = self.presence.as_ref().map(|presence| presence.presence.len());
            clients.or(self.presence_stats.as_ref().map(|stats| stats.num_clients)).map(Answer::Present)
        };
        failed
            .or_else(subscribed)
            .or_else(connected)
            .or_else(history)
            .or_else(present)
            .or_else(|| self.unsubscribe.as_ref().map(|_| Answer::Unsubscribed))
            .or_else(|| self.publish.as_ref().map(|_| Answer::Published))
    }
}

/// The number of a publication, wherever in its payload it stands: no digit is before it.
pub(crate) fn publication_in(data: &[u8]) -> u32 {
    let Some(begin) = data.iter().position(u8::is_ascii_digit) else { return u32::MAX };
    number(&data[begin..]).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX)
}

/// The number of a channel: its name ends with it.
fn channel_in(name: &[u8]) -> usize {
    let begin = name.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    number(&name[begin..]).map_or(usize::MAX, |number| number as usize)
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0')))
}

/// Behind the first place where this stands.
fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(what.len()).position(|window| window == what)?;
    Some(&text[at + what.len()..])
}

/// What a message says.
pub(crate) fn told(message: &[u8]) -> Told {
    let known = match message {
        b"{}" => Some(Told::Ping),
        _ if message.starts_with(b"{\"push\":") => pushed(message),
        _ if message.starts_with(b"{\"type\":") => plain(message),
        _ => answered(message),
    };
    known.unwrap_or_else(|| Told::Nonsense(String::from_utf8_lossy(message).into_owned()))
}

fn pushed(message: &[u8]) -> Option<Told> {
    let name = message.strip_prefix(b"{\"push\":{\"channel\":\"")?;
    let end = name.iter().position(|byte| *byte == b'"')?;
    let (channel, rest) = (channel_in(&name[..end]), &name[end + 2..]);
    if rest.starts_with(b"\"unsubscribe\":") {
        return Some(Told::Unsubscribed { channel });
    }
    let data = rest.strip_prefix(b"\"pub\":{\"data\":")?;
    let offset = after(data, b",\"offset\":").and_then(number).unwrap_or(0);
    Some(Told::Pushed { channel, publication: publication_in(data), offset })
}

fn plain(message: &[u8]) -> Option<Told> {
    let rest = &message[b"{\"type\":".len()..];
    match rest.first()? {
        b'1' => Some(Told::Greeted),
        b'2' => Some(Told::Reconnect),
        b'3' => Some(Told::Message(publication_in(&rest[1..]))),
        b'4' | b'5' => Some(Told::News),
        _ => None,
    }
}

fn answered(message: &[u8]) -> Option<Told> {
    if let Some(id) = message.strip_prefix(b"{\"id\":").and_then(number)
        && message.ends_with(b",\"publish\":{}}")
    {
        return Some(Told::Answered { id: id as u32, reply: Answer::Published });
    }
    let reply: Reply<'_> = serde_json::from_slice(message).ok()?;
    Some(Told::Answered { id: reply.id, reply: reply.answer()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_all_the_time_is_read_as_it_is_written() {
        let push = |text: &str| told(text.as_bytes());
        let (channel, publication) = (7, 12);
        let text = r#"{"push":{"channel":"h3:channel-7","pub":{"data":"12 xx","info":{"user":"user-3","client":"1"},"offset":5}}}"#;
        assert_eq!(push(text), Told::Pushed { channel, publication, offset: 5 });
        let text = r##"{"push":{"channel":"#user-7","pub":{"data":{"content":"12","from":null}}}}"##;
        assert_eq!(push(text), Told::Pushed { channel, publication, offset: 0 });
        let text = r#"{"push":{"channel":"h3:channel-7","unsubscribe":{"code":2500,"reason":"x"}}}"#;
        assert_eq!(push(text), Told::Unsubscribed { channel });
        let text = r#"{"type":3,"content":"\"12\"","ip":null,"userCount":null,"dateTime":"2026","from":null}"#;
        assert_eq!(push(text), Told::Message(12));
    }

    #[test]
    fn a_reply_is_read_whole() {
        let text = r#"{"id":4,"subscribe":{"recoverable":true,"epoch":"abcdefgh","publications":[{"data":"9","offset":3}],"recovered":true,"offset":2,"positioned":true,"was_recovering":true}}"#;
        let Told::Answered { id: 4, reply: Answer::Subscribed(result) } = told(text.as_bytes()) else { panic!() };
        assert_eq!((result.at.map(|at| at.offset), result.publications), (Some(2), vec![(3, 9)]));
        assert!(result.recovered && result.was_recovering);
    }
}
