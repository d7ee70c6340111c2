//! A member reduced to its links.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringway_core::id::{Epoch, Incarnation, MemberId};
use ringway_core::message::{Frame, Message};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Ended, Event, Identity, Limits, LinkId, LinkSender, Links, Listener, Roles, Secret, Settings, Target};

/// Nothing that a test waits for takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Member {
    pub(super) links: Links,
    pub(super) events: mpsc::Receiver<Event>,
}

pub(super) fn identity(id: &str, incarnation: u64, address: &str) -> Identity {
    Identity {
        id: MemberId::new(id).unwrap(),
        incarnation: Incarnation(incarnation),
        roles: Roles { gateway: false, node: true },
        address: address.into(),
        client_address: None,
        keeps_registry: false,
        birth: None,
    }
}

/// A frame that carries a number.
pub(super) fn frame(number: u64) -> Frame {
    Frame { epoch: Epoch(1), message: Message::Settled(Epoch(number)) }
}

fn number(frame: &Frame) -> u64 {
    let Message::Settled(Epoch(number)) = frame.message else { panic!("no test sends {frame:?}") };
    number
}

impl Member {
    /// One with the usual secret and bounds.
    pub(super) async fn start(id: &str, incarnation: u64) -> Self {
        Self::with(id, incarnation, |_| {}).await
    }

    pub(super) async fn with(id: &str, incarnation: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let identity = identity(id, incarnation, &listener.address().to_string());
        let secret = Secret::new("open sesame");
        let mut settings = Settings {
            identity,
            cluster: "".into(),
            secret,
            limits: Limits::default(),
            on_wrong_secret: crate::OnWrongSecret::default(),
        };
        change(&mut settings);
        let (links, events) = Links::start(listener, settings);
        Self { links, events }
    }

    pub(super) fn identity(&self) -> Identity {
        (*self.links.identity()).clone()
    }

    /// How to dial this one and no other.
    pub(super) fn target(&self) -> Target {
        let Identity { id, incarnation, address, .. } = self.identity();
        Target::member(address, id, incarnation)
    }

    pub(super) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the links live on")
    }

    pub(super) async fn up(&mut self) -> (LinkId, Identity, LinkSender) {
        match self.next().await {
            Event::Up { link, peer, sender } => (link, peer, sender),
            other => panic!("waited for Up, got {other:?}"),
        }
    }

    /// The next link, whatever failed dials are told before it.
    pub(super) async fn up_at_last(&mut self) -> (LinkId, Identity, LinkSender) {
        loop {
            match self.next().await {
                Event::Up { link, peer, sender } => return (link, peer, sender),
                Event::Refused { .. } | Event::Failed { .. } | Event::Down { .. } => {}
                other @ Event::Frames { .. } => panic!("waited for Up, got {other:?}"),
            }
        }
    }

    /// The end of the link, whatever frames come before it.
    pub(super) async fn down(&mut self) -> (LinkId, Ended) {
        loop {
            match self.next().await {
                Event::Down { link, reason, .. } => return (link, reason),
                Event::Frames { .. } => {}
                other => panic!("waited for Down, got {other:?}"),
            }
        }
    }

    /// The numbers of the next frames, at least this many, and the events they came in.
    pub(super) async fn numbers(&mut self, count: usize) -> (Vec<u64>, usize) {
        let (mut numbers, mut events) = (Vec::new(), 0);
        while numbers.len() < count {
            match self.next().await {
                Event::Frames { frames, .. } => numbers.extend(frames.iter().map(number)),
                other => panic!("waited for frames, got {other:?}"),
            }
            events += 1;
        }
        (numbers, events)
    }

    /// Fails if anything happens before the time is up.
    pub(super) async fn nothing_for(&mut self, duration: Duration) {
        if let Ok(event) = timeout(duration, self.events.recv()).await {
            panic!("nothing was to happen, got {event:?}");
        }
    }
}

/// Two members with a link, the first of which keeps dialing the second; and their senders.
pub(super) async fn linked() -> (Member, Member, LinkSender, LinkSender) {
    static TURN: AtomicU64 = AtomicU64::new(0);
    // Either end may be the judge of the pair.
    let (one, two) = if TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { (1, 2) } else { (2, 1) };
    let hurried = |settings: &mut Settings| settings.limits.longest_pause = Duration::from_millis(30);
    let (mut a, mut b) = (Member::with("a", one, hurried).await, Member::with("b", two, hurried).await);
    a.links.dial(b.target());
    let (to_b, to_a) = (a.up().await.2, b.up().await.2);
    (a, b, to_b, to_a)
}

/// Waits until the condition holds.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
