//! Members of different releases: those that have a version in common use the highest, the others are told why not.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use ringway_core::message::Frame;
use ringway_protocol::link::{
    Handshake, PREAMBLE_BYTES, PREAMBLE_HEAD_BYTES, Purpose, Taken, Versions, decode, encode, preamble,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::member::{Member, frame, identity};
use crate::fault::Faults;
use crate::handshake::{Keys, Proved, receive};
use crate::{DialError, Event, HandshakeError, Rejection, Secret, Target};

/// A release that has one version more.
const NEXT: Versions = Versions { lowest: Versions::OURS.lowest, highest: Versions::OURS.highest + 1 };

fn keys(versions: Versions) -> Keys {
    Keys { secret: Secret::new("open sesame"), cluster: "".into(), versions }
}

async fn connect(member: &Member) -> TcpStream {
    TcpStream::connect(&*member.identity().address).await.unwrap()
}

/// What a member says to a dialer that begins like this.
async fn answer_to(begin: &[u8]) -> Vec<u8> {
    let a = Member::start("a", 1).await;
    let mut stream = connect(&a).await;
    stream.write_all(begin).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    heard
}

/// What a member makes of an acceptor that answers like this.
async fn verdict_on(answer: &[u8]) -> HandshakeError {
    let mut a = Member::start("a", 1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    a.links.dial(Target::anyone(listener.local_addr().unwrap().to_string()));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(answer).await.unwrap();
    match a.next().await {
        Event::Failed { why: DialError::Handshake(why), .. } => why,
        other => panic!("waited for a failed dial, got {other:?}"),
    }
}

/// The preamble of the releases before there were ranges, which is all of it.
const VERSION_2: &[u8; PREAMBLE_HEAD_BYTES] = b"ringway\0\x02\0";

#[tokio::test]
async fn a_dialer_without_a_version_in_common_is_told_ours() {
    let later = preamble(Versions { lowest: 900, highest: 901 });
    for begin in [&later[..], &VERSION_2[..]] {
        let heard = answer_to(&[begin, b"whatever another version says"].concat()).await;
        assert_eq!(heard, preamble(Versions::OURS), "{begin:?}");
    }
}

/// It waits for no byte more than that version sends.
#[tokio::test]
async fn an_acceptor_without_a_version_in_common_is_named_with_both_ranges() {
    let later = preamble(Versions { lowest: 900, highest: 901 });
    for (answer, named) in [(&later[..], "versions 900 to 901"), (&VERSION_2[..], "version 2")] {
        let why = verdict_on(answer).await;
        assert!(matches!(why, HandshakeError::Version { ours: Versions::OURS, .. }), "{why:?}");
        let text = why.to_string();
        assert!(text.contains(named) && text.contains(&Versions::OURS.to_string()), "{text}");
    }
}

/// The other end of a link, by hand.
struct Next {
    stream: TcpStream,
    version: u16,
    read: BytesMut,
}

impl Next {
    /// Dials a member whose incarnation is the greater, so that it is the judge of the pair.
    async fn dial(member: &Member) -> Self {
        let mut stream = connect(member).await;
        let me = identity("next", 1, "127.0.0.1:1");
        let Proved { version, .. } = keys(NEXT).dial(&mut stream, &me, Purpose::Link, |_| false).await.unwrap();
        let (_, go) = receive(&mut stream).await.unwrap();
        assert!(matches!(go, Handshake::Go(_)), "{go:?}");
        Self { stream, version, read: BytesMut::new() }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        loop {
            match decode(&mut self.read).unwrap() {
                Some(Taken::Frame(frame)) => return frame,
                Some(Taken::Skipped(unknown)) => panic!("{unknown}"),
                None => assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0),
            }
        }
    }
}

/// A known frame with something behind it that a later version has added.
fn longer(frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    let length = encode(frame, &mut bytes).unwrap();
    bytes.put_slice(b"more");
    let announced = u32::try_from(length - size_of::<u32>() + b"more".len()).unwrap();
    bytes[..size_of::<u32>()].copy_from_slice(&announced.to_le_bytes());
    bytes
}

#[tokio::test]
async fn a_member_of_the_next_release_is_understood_but_for_what_is_new() {
    let mut a = Member::start("a", 2).await;
    let mut next = Next::dial(&a).await;
    let sender = a.up().await.2;
    assert_eq!((sender.version(), next.version), (Versions::OURS.highest, Versions::OURS.highest));

    // A message of an unknown kind, and a log that holds an operation of one, between two that have only grown.
    next.send(&longer(&frame(1))).await;
    next.send(&[4, 0, 0, 0, 1, 250, 9, 9]).await;
    next.send(&[7, 0, 0, 0, 1, 34, 1, 1, 1, 1, 99]).await;
    next.send(&longer(&frame(2))).await;
    assert_eq!(a.numbers(2).await.0, [1, 2]);
    assert_eq!(
        a.links.stats().iter().map(|link| (link.version, link.frames_in, link.frames_skipped)).next(),
        Some((3, 2, 2))
    );

    sender.send(frame(3)).unwrap();
    assert_eq!(next.next().await, frame(3));
}

#[tokio::test]
async fn who_changes_the_range_on_the_way_is_found_out() {
    let (front, back) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let mut dialing = TcpStream::connect(front.local_addr().unwrap()).await.unwrap();
    let between = async {
        let (mut near, _) = front.accept().await.unwrap();
        let mut far = TcpStream::connect(back.local_addr().unwrap()).await.unwrap();
        let mut begin = [0; PREAMBLE_BYTES];
        near.read_exact(&mut begin).await.unwrap();
        assert_eq!(begin, preamble(NEXT));
        far.write_all(&preamble(Versions::OURS)).await.unwrap();
        let _ = copy_bidirectional(&mut near, &mut far).await;
        std::future::pending::<()>().await;
    };
    let acceptor = async {
        let (mut stream, _) = back.accept().await.unwrap();
        let (keys, me, faults) = (keys(NEXT), identity("a", 2, "a:1"), Faults::default());
        let caller = keys.greet(&mut stream, &me).await.unwrap();
        keys.accept(&mut stream, &me, caller, &faults, || crate::Treatment::Refuse).await.map(drop)
    };
    let dialer = async {
        let (keys, me) = (keys(NEXT), identity("b", 1, "b:1"));
        let outcome = keys.dial(&mut dialing, &me, Purpose::Link, |_| false).await;
        drop(dialing);
        outcome.map(drop)
    };
    let both = async {
        tokio::select! {
            () = between => unreachable!("it goes on for ever"),
            outcomes = async { tokio::join!(acceptor, dialer) } => outcomes,
        }
    };
    let (accepted, dialed) = timeout(Duration::from_secs(20), both).await.unwrap();
    assert!(matches!(accepted, Err(HandshakeError::Rejected(Rejection::WrongSecret))), "{accepted:?}");
    assert!(matches!(dialed, Err(HandshakeError::Refused(Rejection::WrongSecret))), "{dialed:?}");
}
