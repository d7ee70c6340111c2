//! Who is let in, who is not, and what both are told.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway_core::id::{Birth, Incarnation};
use ringway_protocol::link::{Purpose, Versions, preamble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::member::{Member, identity};
use crate::fault::Faults;
use crate::handshake::Keys;
use crate::{
    DialError, Ended, Event, Evidence, HandshakeError, Listener, OnWrongSecret, Rejection, Roles, Route, RouteError,
    Secret, Target, Treatment,
};

async fn failure(member: &mut Member) -> DialError {
    match member.next().await {
        Event::Failed { why, .. } => why,
        other => panic!("waited for a failed dial, got {other:?}"),
    }
}

async fn connect(member: &Member) -> TcpStream {
    TcpStream::connect(&*member.identity().address).await.unwrap()
}

/// What the other end says before it closes in good order.
async fn heard(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn each_end_learns_who_the_other_is() {
    let gateway = |settings: &mut crate::Settings| {
        settings.identity.roles = Roles { gateway: true, node: true };
        settings.identity.client_address = Some("127.0.0.1:9888".into());
    };
    let (mut a, mut b) = (Member::with("a", 1, gateway).await, Member::start("b", 2).await);
    a.links.dial(Target::anyone(b.identity().address));
    assert_eq!(a.up().await.1, b.identity());
    assert_eq!(b.up().await.1, a.identity());
}

#[tokio::test]
async fn a_wrong_secret_is_told_to_the_dialer() {
    let mut a = Member::with("a", 1, |settings| settings.secret = Secret::new("guess")).await;
    let mut b = Member::start("b", 2).await;
    a.links.dial(b.target());
    let why = failure(&mut a).await;
    assert!(matches!(why, DialError::Handshake(HandshakeError::Refused(Rejection::WrongSecret))), "{why:?}");
    assert!(why.to_string().contains("wrong join secret"), "{why}");
    b.nothing_for(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_to_the_acceptor() {
    let keys = |secret| Keys { secret: Secret::new(secret), cluster: "".into(), versions: Versions::OURS };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut dialing = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut accepting, _) = listener.accept().await.unwrap();
    let (me, other) = (identity("a", 1, "a:1"), identity("b", 2, "b:1"));
    let acceptor = async {
        let (keys, faults) = (keys("one"), Faults::default());
        let caller = keys.greet(&mut accepting, &me).await.unwrap();
        keys.accept(&mut accepting, &me, caller, &faults, || crate::Treatment::Refuse).await
    };
    let dialer = async {
        let outcome = keys("two").dial(&mut dialing, &other, Purpose::Link, |_| false).await;
        drop(dialing);
        outcome
    };
    let (accepted, dialed) = tokio::join!(acceptor, dialer);
    assert!(matches!(accepted, Err(HandshakeError::Rejected(Rejection::WrongSecret))), "{accepted:?}");
    assert!(matches!(dialed, Err(HandshakeError::Refused(Rejection::WrongSecret))), "{dialed:?}");
}

#[tokio::test]
async fn wrong_secrets_may_be_told_late_or_not_at_all_and_the_right_one_of_the_same_address_waits_for_nothing() {
    let deadline = Duration::from_secs(20);
    let treated = async |how| {
        let strangers =
            move |settings: &mut crate::Settings| settings.on_wrong_secret = OnWrongSecret::new(move |_| how);
        let b = Member::with("b", 2, strangers).await;
        let wrong = Member::with("wrong", 3, |settings| settings.secret = Secret::new("guess")).await;
        let began = Instant::now();
        let found = wrong.links.probe(&b.target(), deadline).await;
        let mut right = Member::start("a", 1).await;
        right.links.dial(b.target());
        right.up_at_last().await;
        (found, began.elapsed())
    };
    let late = Duration::from_millis(300);
    let (found, took) = treated(Treatment::RefuseAfter(late)).await;
    let refused = HandshakeError::Refused(Rejection::WrongSecret);
    assert!(matches!(found, Evidence::Unknown(DialError::Handshake(why)) if why.to_string() == refused.to_string()));
    assert!(took >= late, "{took:?}");
    let (found, _) = treated(Treatment::Close).await;
    assert!(matches!(found, Evidence::Unknown(DialError::Handshake(HandshakeError::Io(_)))), "{found:?}");
    // Nobody waits for what would be told in an hour, but the one who is wrong.
    let strangers = |settings: &mut crate::Settings| {
        settings.on_wrong_secret = OnWrongSecret::new(|_| Treatment::RefuseAfter(Duration::from_secs(3_600)));
    };
    let b = Member::with("b", 2, strangers).await;
    let wrong = Member::with("wrong", 3, |settings| settings.secret = Secret::new("guess")).await;
    wrong.links.dial(b.target());
    let mut right = Member::start("a", 1).await;
    right.links.dial(b.target());
    right.up_at_last().await;
}

#[tokio::test]
async fn members_of_clusters_of_other_births_are_not_linked_but_learn_of_each_other() {
    let born = |birth| move |settings: &mut crate::Settings| settings.identity.birth = birth;
    // In both orders, for one of the two is the judge.
    for (first, second) in [(1, 2), (2, 1)] {
        let mut a = Member::with("a", first, born(Some(Birth(7)))).await;
        let mut b = Member::with("b", second, born(Some(Birth(8)))).await;
        for target in [b.target(), Target::anyone(b.identity().address)] {
            a.links.dial(target.clone());
            let why = failure(&mut a).await;
            assert!(matches!(&why, DialError::OtherCluster(who) if **who == b.identity()), "{why:?}");
            a.links.stop_dialing(&target);
        }
        assert!(
            matches!(a.links.probe(&b.target(), Duration::from_secs(5)).await, Evidence::Answered(who) if who == b.identity())
        );
        b.nothing_for(Duration::from_millis(50)).await;

        let mut newcomer = Member::with("c", 3, born(None)).await;
        newcomer.links.dial(b.target());
        newcomer.up().await;
        assert_eq!(b.up().await.1.birth, None);
        newcomer.links.belong_to(Birth(8));
        assert_eq!(newcomer.identity().birth, Some(Birth(8)));
        newcomer.nothing_for(Duration::from_millis(20)).await;
        newcomer.links.belong_to(Birth(9));
        assert!(matches!(newcomer.down().await.1, Ended::OtherCluster));
    }
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let mut a = Member::with("a", 1, |settings| settings.cluster = "blue".into()).await;
    let b = Member::with("b", 2, |settings| settings.cluster = "green".into()).await;
    a.links.dial(b.target());
    let why = failure(&mut a).await;
    assert!(matches!(why, DialError::Handshake(HandshakeError::Refused(Rejection::OtherCluster))), "{why:?}");
}

#[tokio::test]
async fn who_does_not_speak_the_protocol_is_told_nothing() {
    let a = Member::start("a", 1).await;
    let mut stream = connect(&a).await;
    // As long as the head of a preamble: a longer one is reset, which is as good an answer.
    stream.write_all(b"GET / HTTP").await.unwrap();
    assert_eq!(heard(stream).await, b"");
}

#[tokio::test]
async fn servers_of_other_kinds_are_told_apart() {
    for (says, is_web) in [("HTTP/1.1 400 Bad Request\r\n\r\n", true), ("220 mail.example.org ESMTP\r\n", false)] {
        let mut a = Member::start("a", 1).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        a.links.dial(Target::anyone(listener.local_addr().unwrap().to_string()));
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(says.as_bytes()).await.unwrap();
        let why = failure(&mut a).await;
        let is_told = match &why {
            DialError::Handshake(HandshakeError::Http) => is_web,
            DialError::Handshake(HandshakeError::NotALink(_)) => !is_web,
            _ => false,
        };
        assert!(is_told, "{says:?}: {why:?}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told() {
    let mut a = Member::start("a", 1).await;
    a.links.dial(Target::anyone("no-such-host.invalid:1"));
    let why = failure(&mut a).await;
    assert!(matches!(why, DialError::UnknownName(_)), "{why:?}");
}

#[tokio::test]
async fn only_the_end_that_dialed_has_reached_the_others_address() {
    let (mut a, mut b) = (Member::start("a", 1).await, Member::start("b", 2).await);
    a.links.dial(b.target());
    assert_eq!(a.up().await.2.dialed(), Some(&*b.identity().address));
    assert_eq!(b.up().await.2.dialed(), None);
}

#[tokio::test]
async fn a_route_leaves_from_an_address_that_is_reached_from_there() {
    for (to, from) in [("127.0.0.1:9", "127.0.0.1"), ("127.0.0.7:9", "127.0.0.1")] {
        let route = Route::find(to).await.unwrap();
        assert_eq!((route.to.to_string(), route.from.to_string()), (to.to_owned(), from.to_owned()));
        assert!(route.is_loopback());
    }
    assert!(matches!(Route::find("no-such-host.invalid:1").await, Err(RouteError::UnknownName(_))));
}

#[tokio::test]
async fn strangers_are_let_go_at_the_deadline_and_members_get_their_turn() {
    let mut a = Member::with("a", 1, |settings| {
        settings.limits.unauthenticated = 1;
        settings.limits.handshake = Duration::from_millis(100);
    })
    .await;
    let silent = connect(&a).await;
    let mut b = Member::start("b", 2).await;
    b.links.dial(a.target());
    b.up_at_last().await;
    a.up_at_last().await;
    assert_eq!(heard(silent).await, b"");
}

#[tokio::test]
async fn strangers_who_stall_keep_no_member_out() {
    // They would stay for as long as the test has patience.
    let mut a = Member::with("a", 1, |settings| {
        settings.limits.unauthenticated = 8;
        settings.limits.handshake = Duration::from_secs(60);
    })
    .await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&a).await;
        stream.write_all(&preamble(Versions::OURS)).await.unwrap();
        stalled.push(stream);
    }
    let mut b = Member::start("b", 2).await;
    b.links.dial(a.target());
    assert_eq!(b.up().await.1, a.identity());
    a.up().await;
    let turned = a.links.turned();
    let made_room = turned.oldest.load(Ordering::Relaxed) + turned.share.load(Ordering::Relaxed);
    assert!(made_room >= 92, "{made_room}");
}

#[tokio::test]
async fn a_hello_without_end_is_refused() {
    let a = Member::start("a", 1).await;
    let mut stream = connect(&a).await;
    stream.write_all(&preamble(Versions::OURS)).await.unwrap();
    stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    assert_eq!(heard(stream).await, b"");
}

#[tokio::test]
async fn a_member_does_not_link_with_itself() {
    let mut a = Member::start("a", 1).await;
    a.links.dial(Target::anyone(a.identity().address));
    let why = failure(&mut a).await;
    assert!(matches!(why, DialError::Handshake(HandshakeError::Refused(Rejection::Myself))), "{why:?}");
}

#[tokio::test]
async fn another_incarnation_is_told_and_not_linked() {
    let (mut a, mut b) = (Member::start("a", 1).await, Member::start("b", 2).await);
    let Target { address, member } = b.target();
    a.links.dial(Target::member(address, member.unwrap().0, Incarnation(77)));
    match failure(&mut a).await {
        DialError::Other(who) => assert_eq!(*who, b.identity()),
        other => panic!("{other:?}"),
    }
    b.nothing_for(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_probe_tells_what_it_found() {
    let (a, mut b) = (Member::start("a", 1).await, Member::start("b", 2).await);
    let target = Target::anyone(b.identity().address);
    let deadline = Duration::from_secs(5);
    match a.links.probe(&target, deadline).await {
        Evidence::Answered(who) => assert_eq!(who, b.identity()),
        other => panic!("{other:?}"),
    }
    b.nothing_for(Duration::from_millis(50)).await;

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let short = Duration::from_millis(50);
    assert!(matches!(a.links.probe(&Target::anyone(address.clone()), short).await, Evidence::Unknown(_)));
    drop(silent);
    assert!(matches!(a.links.probe(&Target::anyone(address), deadline).await, Evidence::Refused));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.address().to_string();
    let error = Listener::bind(&address).await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("another process uses this port"), "{error}");
}
