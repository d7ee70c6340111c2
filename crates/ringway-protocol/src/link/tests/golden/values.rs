//! What the golden bytes mean. Where something may be there or not, there are two lines.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringway_core::id::{Birth, ChannelName, Epoch, Incarnation, MemberId, Position, Slot, StreamEpoch};
use ringway_core::keeping::Keeping;
use ringway_core::logbook::{LogAnswer, LogOp, LogRequest, LogSaid, Logged, Place, Record};
use ringway_core::message::*;
use ringway_core::pauses::Pauses;
use ringway_core::registry::store::{Revision, Said, StoreAnswer, StoreOp, StoreRequest, Stored};
use ringway_core::ring::{HashKey, SlotCount, SlotSet, Weight};
use ringway_core::view::{GatewayEntry, NodeEntry, View};

use crate::link::{Handshake, Hello, Identity, Purpose, Rejection, Roles};

pub(in crate::link::tests) fn handshakes() -> Vec<(&'static str, Handshake)> {
    let node = Roles { gateway: false, node: true };
    let refused = Handshake::Refused;
    vec![
        ("hello-link", hello(node, None, Purpose::Link)),
        ("hello-link-with", hello(Roles { gateway: true, node: true }, Some("c:2"), Purpose::LinkWith(life(1)))),
        ("hello-probe", hello(Roles { gateway: true, node: false }, Some("c:2"), Purpose::Probe)),
        ("proof", Handshake::Proof(std::array::from_fn(|at| at as u8))),
        ("go", Handshake::Go(300)),
        ("refused-secret", refused(Rejection::WrongSecret)),
        ("refused-cluster", refused(Rejection::OtherCluster)),
        ("refused-myself", refused(Rejection::Myself)),
        ("refused-linked", refused(Rejection::Linked)),
        ("refused-unknown", refused(Rejection::Unknown)),
    ]
}

fn hello(roles: Roles, client_address: Option<&str>, purpose: Purpose) -> Handshake {
    let client_address = client_address.map(Into::into);
    let identity = Identity {
        id: id("m1"),
        incarnation: life(7),
        roles,
        address: "h:1".into(),
        client_address,
        keeps_registry: true,
        birth: Some(Birth(0x0102_0304)),
    };
    Handshake::Hello(Box::new(Hello { nonce: [9; 32], cluster: "blue".into(), identity, purpose }))
}

pub(in crate::link::tests) fn frames() -> Vec<(&'static str, Frame)> {
    let all = [members(), publishing(), listening(), asking(), slots(), states(), logs(), outside()];
    all.into_iter().flatten().map(|(name, message)| (name, Frame { epoch: Epoch(300), message })).collect()
}

type Named = Vec<(&'static str, Message)>;

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn life(number: u64) -> Incarnation {
    Incarnation(0x0102_0304_0506_0700 + number)
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn position(offset: u64) -> Position {
    Position { epoch: StreamEpoch::parse("abcdEFGH").unwrap(), offset }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn entry() -> Entry {
    Entry::of(b"{}")
}

fn full_entry() -> Entry {
    Entry::by("\"é\"".as_bytes(), &Publisher { user: "u", client: 1 << 64, conn_info: b"{}", chan_info: b"[]" })
}

fn options() -> ChannelOptions {
    ChannelOptions {
        history_size: 100,
        history_ttl: Duration::from_millis(1500),
        presence: true,
        history_bytes: 1 << 20,
        durability: Durability::Log,
    }
}

fn present(client: u128) -> Presence {
    Presence { client, user: "u".into(), conn_info: Some(bytes("1")), chan_info: None }
}

fn view() -> Arc<View> {
    let mut view = View::born(HashKey::from_bytes(*b"0123456789abcdef"), SlotCount::MIN);
    let (address, now, next) = ("h:1".into(), Weight::ONE, Weight::ZERO);
    view.nodes.push(NodeEntry { id: id("n1"), incarnation: life(1), address, now, next });
    view.gateways.push(GatewayEntry {
        id: id("g1"),
        incarnation: life(2),
        address: "c:2".into(),
        link: "l:2".into(),
        draining: true,
    });
    (view.epoch, view.removals, view.crashes, view.checksum) = (Epoch(300), 1, 2, 1 << 63);
    Arc::new(view)
}

fn members() -> Named {
    let load = Load {
        users: 1,
        channels: 300,
        sockets: 0,
        history_bytes: 1 << 40,
        unsettled: 2,
        dropped: 300,
        ..Load::default()
    };
    let load = Load { history_limit: 1 << 41, alone: 3, not_live: 4, blocked: 1, channels_full: true, ..load };
    let request = |id, op| Message::RegistryRequest(RegistryRequest { id, op });
    let answer = |done, lapsed| Message::RegistryAnswer(RegistryAnswer { id: 5, done, view: view(), lapsed });
    let to_store = |op| Message::StoreRequest(StoreRequest { id: 6, op });
    let from_store = |said| Message::StoreAnswer(StoreAnswer { id: 6, life: 1 << 63, said });
    let (longest, total) = (Duration::from_secs(2), Duration::from_millis(2500));
    let pauses = Pauses { buckets: vec![(3, 1), (400, 2)], longest, total };
    let toll =
        Toll { process: life(2), waiting: 1, gaps: 2, doubles: 3, reorders: 4, closed: 300, pauses: pauses.clone() };
    let reset = |slots| Message::Reset(Box::new(Reset { number: 8, slots, window: Duration::from_secs(30) }));
    let count = ResetCount { number: 8, meant: 300, closed: 20, done: false };
    vec![
        ("ping", Message::Ping(load)),
        ("moved", Message::Moved(view())),
        ("moved-born", Message::Moved(Arc::new(View::born(HashKey::from_bytes([0; 16]), SlotCount::DEFAULT)))),
        ("registry-renew", request(1, RegistryOp::Renew(life(1)))),
        ("registry-put", request(2, RegistryOp::Put(life(1)))),
        ("registry-cas", request(3, RegistryOp::Cas(view()))),
        ("registry-leases", request(4, RegistryOp::Leases)),
        ("registry-read", request(5, RegistryOp::Read)),
        ("registry-answer", answer(true, Vec::new())),
        ("registry-answer-lapsed", answer(false, vec![life(1), life(2)])),
        ("store-view", to_store(StoreOp::ReadView)),
        ("store-lease", to_store(StoreOp::ReadLease(life(1)))),
        ("store-leases", to_store(StoreOp::Leases)),
        ("store-write-view", to_store(StoreOp::WriteView { at: Some(Revision(300)), view: view(), life: 7 })),
        ("store-write-first-view", to_store(StoreOp::WriteView { at: None, view: view(), life: 7 })),
        ("store-write-lease", to_store(StoreOp::WriteLease { of: life(1), at: Some(Revision(301)), count: 5 })),
        ("store-write-first-lease", to_store(StoreOp::WriteLease { of: life(1), at: None, count: 1 })),
        ("store-end-lease-at", to_store(StoreOp::EndLease { of: life(1), at: Some(Revision(302)) })),
        ("store-end-lease", to_store(StoreOp::EndLease { of: life(1), at: None })),
        ("store-has-view", from_store(Said::View(Some(Stored { revision: Revision(300), life: 7, view: view() })))),
        ("store-has-no-view", from_store(Said::View(None))),
        ("store-has-lease", from_store(Said::Lease(Some((Revision(301), 5))))),
        ("store-has-no-lease", from_store(Said::Lease(None))),
        ("store-has-leases", from_store(Said::Leases(vec![(life(1), Revision(301)), (life(2), Revision(1))]))),
        ("store-has-written", from_store(Said::Written(Revision(302)))),
        ("store-has-ended", from_store(Said::Ended)),
        ("store-refuses", from_store(Said::Conflict)),
        ("reset-all", reset(None)),
        ("reset-some", reset(Some(SlotSet { bits: vec![0, 0x81] }))),
        ("reset-count", Message::ResetCount(count)),
        ("toll", Message::Toll(Box::new(toll))),
        ("kept-out", Message::KeptOut("the port is closed".into())),
        (
            "keeping",
            Message::Keeping(Arc::new(Keeping { kinds: vec![("".into(), options()), ("chat".into(), options())] })),
        ),
    ]
}

fn publishing() -> Named {
    let publish = |entry, key: Option<&str>| {
        let (slot, channel, idempotency_key) = (Slot(513), channel("#bob"), key.map(Into::into));
        let publish = Publish {
            slot,
            seq: 3,
            floor: 1,
            durability: Durability::Log,
            channel,
            entry,
            options: options(),
            idempotency_key,
            version: None,
        };
        Message::Publish(Box::new(publish))
    };
    let ok = |position, copies| {
        Message::PubOk(PubOk { slot: Slot(513), seq: 3, position, copies, durability: Durability::Memory })
    };
    let no = |why| Message::PubNo(PubNo { slot: Slot(513), seq: 3, why, durability: Durability::Memory });
    vec![
        ("publish", publish(entry(), None)),
        ("publish-full", publish(full_entry(), Some("k"))),
        ("publish-ok", ok(Some(position(300)), 2)),
        ("publish-ok-unkept", ok(None, 0)),
        ("publish-no-retry", no(Refusal::Retry)),
        ("publish-no-full", no(Refusal::Full)),
        ("publish-no-unrecoverable", no(Refusal::Unrecoverable)),
        ("publish-no-not-available", no(Refusal::NotAvailable)),
    ]
}

fn listening() -> Named {
    let attach = |from, sessions, presence| Attach {
        channel: channel("a"),
        attach: AttachId(1 << 32),
        from,
        confirmed: if matches!(from, AttachFrom::At(_)) { 7 } else { 0 },
        options: options(),
        sessions,
        presence,
        more: matches!(from, AttachFrom::Inbox),
    };
    let attaches = vec![
        attach(AttachFrom::Top, 0, Vec::new()),
        attach(AttachFrom::Inbox, 1, vec![present(7)]),
        attach(AttachFrom::At(position(9)), 300, vec![present(7), present(u128::MAX)]),
    ];
    let id = AttachId(1 << 32);
    let attached = |stream| Message::Attached(Attached { attach: id, stream, from: 8, users: 300 });
    let deliver = |offset, entry| Message::Deliver(Deliver { attach: id, offset, entry });
    let detach = |delivered| {
        Message::Detach(Detach { channel: channel("#u"), attach: id, delivered, durability: Durability::Log })
    };
    let (joined, left) = (vec![present(1)], vec![2, 3]);
    let change = SessionChange { channel: channel("a"), attach: id, sessions: 4, joined, left, last: true, more: true };
    vec![
        ("attach", Message::Attach(attaches)),
        ("attached", attached(Some(position(9)))),
        ("attached-unkept", attached(None)),
        ("attach-refused", Message::AttachRefused(id, Refusal::Full)),
        ("deliver", deliver(300, full_entry())),
        ("deliver-unkept", deliver(0, entry())),
        ("attaches-done", Message::AttachesDone(Epoch(300))),
        ("detach", detach(None)),
        ("detach-delivered", detach(Some(position(9)))),
        ("detached", Message::Detached(id)),
        ("delivered", Message::Delivered(vec![(id, channel("#u"), 9), (AttachId(2), channel("#v"), 300)])),
        ("sessions", Message::Sessions(Box::new(change))),
    ]
}

fn asking() -> Named {
    let query = |since, reverse| {
        let history = HistoryQuery { channel: channel("a"), options: options(), since, limit: 50, reverse };
        Message::Query(9, Query::History(Box::new(history)))
    };
    let census = Census { node: life(1), epoch: Epoch(300), losses: 2 };
    let present_after =
        |after| Message::Query(9, Query::Presence(Box::new(PresenceQuery { channel: channel("a"), after })));
    let channels_after =
        |after| Message::Query(9, Query::Channels(Box::new(ChannelsQuery { epoch: Epoch(300), after })));
    let channels = vec![(channel("a"), 1), (channel("b"), 300)];
    let answer = |answer| Message::Answer(9, answer);
    let page = HistoryPage { top: position(9), publications: vec![(8, entry()), (9, full_entry())], more: true };
    let info = NodeInfo { subscriptions: 300, users: 2, channels: 3, uptime: Duration::new(5, 6) };
    let order = |client, whitelist, deed| Box::new(Order { user: "u".into(), client, whitelist, deed });
    let close = || Deed::Close { code: 3005, reason: "gone".into() };
    let document = || Some(Bytes::from_static(b"{}"));
    let (since, lifetime) = (Some((300, "e".into())), Some(Duration::new(5, 6)));
    let sub = NewSub { channel: channel("a"), info: document(), data: document(), since, lifetime, overrides: 300 };
    let bare = NewSub { channel: channel("a"), info: None, data: None, since: None, lifetime: None, overrides: 0 };
    let refresh = NewExpiry { is_over: true, lifetime, info: document() };
    let told = |deed| Message::Order(300, order(None, vec![5, 6], deed));
    let post = || Box::new(Post { gateway: Incarnation(7), session: 8, number: 300, data: Bytes::from_static(b"{}") });
    vec![
        ("query-history", query(None, false)),
        ("query-history-offset", query(Some((3, None)), true)),
        ("query-history-since", query(Some((3, Some(position(0).epoch))), false)),
        ("query-presence", present_after(None)),
        ("query-presence-after", present_after(Some((5, census)))),
        ("query-channels", channels_after(None)),
        ("query-channels-after", channels_after(Some((channel("b"), census)))),
        ("query-presence-stats", Message::Query(9, Query::PresenceStats(channel("a")))),
        ("query-info", Message::Query(300, Query::Info)),
        ("answer-history", answer(Answer::History(page))),
        ("answer-presence", answer(Answer::Presence(PresencePage { census, clients: vec![present(1)], more: true }))),
        ("answer-channels", answer(Answer::Channels(ChannelsPage { census, channels, more: true }))),
        ("answer-presence-stats", answer(Answer::PresenceStats(300, 2))),
        ("answer-info", answer(Answer::Info(info))),
        ("answer-refused", answer(Answer::Refused(Refusal::Retry))),
        ("query-order", Message::Query(9, Query::Order(order(Some(5), Vec::new(), close())))),
        ("query-remove-history", Message::Query(9, Query::RemoveHistory(channel("a"), options()))),
        ("answer-obeyed", answer(Answer::Obeyed)),
        ("answer-removed", answer(Answer::Removed)),
        ("order-close", told(close())),
        ("order-subscribe", told(Deed::Subscribe(Box::new(sub)))),
        ("order-subscribe-bare", told(Deed::Subscribe(Box::new(bare)))),
        ("order-unsubscribe", told(Deed::Unsubscribe(Some(channel("a"))))),
        ("order-unsubscribe-all", told(Deed::Unsubscribe(None))),
        ("order-refresh", told(Deed::Refresh(Box::new(refresh)))),
        ("obeyed", Message::Obeyed(300)),
        ("query-post", Message::Query(9, Query::Post(post()))),
        ("answer-posted", answer(Answer::Posted(true))),
        ("post", Message::Post(300, post())),
        ("posted", Message::Posted(300, false)),
    ]
}

fn slots() -> Named {
    let some = || vec![Slot(1), Slot(300)];
    let claimed = |slot, mark, index| ClaimedSlot { slot, mark, term: Epoch(2), index };
    let have = |slot, mark| Have { slot, term: Epoch(2), sync: 4, index: 300, mark };
    let terms = || vec![(Slot(1), Epoch(2)), (Slot(300), Epoch(299))];
    vec![
        ("claim", Message::Claim(some())),
        ("claimed", Message::Claimed(vec![claimed(Slot(1), true, 0), claimed(Slot(300), false, 300)])),
        ("fetch", Message::Fetch(some())),
        ("have", Message::Have(vec![have(Slot(1), true), have(Slot(300), false)])),
        ("mark", Message::Mark(terms())),
        ("release", Message::Release(terms())),
        ("released", Message::Released(terms())),
        ("settled", Message::Settled(Epoch(300))),
        ("taken-copies", Message::Taken(Lane::Copies, 300)),
        ("taken-deliveries", Message::Taken(Lane::Deliveries, 0)),
        ("taken-attaches", Message::Taken(Lane::Attaches, 70_000)),
    ]
}

fn states() -> Named {
    let state = |kind, base, streams, publishers| {
        let (slot, term, index, part, last) = (Slot(513), Epoch(2), 300, 1, true);
        let standing = Standing { read: true, early: false };
        Message::State(Box::new(SlotState { slot, kind, term, index, base, part, last, streams, publishers, standing }))
    };
    let stream = StreamState {
        channel: channel("a"),
        options: options(),
        top: position(9),
        delivered: 7,
        first: 5,
        start: 8,
        entries: vec![(Duration::from_millis(1500), entry()), (Duration::ZERO, full_entry())],
        version: Some(Box::new(Version { number: 300, epoch: "e".into() })),
        keys: vec![("k".into(), Duration::from_secs(1), 8)],
        last: true,
    };
    let publisher = PublisherState {
        gateway: life(2),
        durability: Durability::Log,
        last: 12,
        taken: vec![(11, None), (12, Some(position(9)))],
    };
    let empty =
        SlotSync { slot: Slot(300), term: Epoch(2), number: 7, index: 0, base: None, standing: Standing::default() };
    let same = SlotSync {
        slot: Slot(1),
        index: 9,
        base: Some((Epoch(1), 9)),
        standing: Standing { read: true, early: true },
        ..empty
    };
    vec![
        ("state-sync", state(StateKind::Sync(4), Some((Epoch(2), 299)), Vec::new(), Vec::new())),
        ("state-fetched", state(StateKind::Fetched, None, vec![stream], vec![publisher])),
        ("syncs", Message::Syncs(vec![empty, same])),
    ]
}

fn logs() -> Named {
    let by = || PubId { gateway: life(2), durability: Durability::Log, seq: 12, floor: 10 };
    let rep = |ops| Message::Rep(Box::new(Rep { slot: Slot(513), term: Epoch(2), index: 300, ops }));
    let channel = || channel("a");
    let append = |entry, key: Option<&str>| Op::Append {
        channel: channel(),
        options: options(),
        offset: 300,
        first: 201,
        entry,
        publisher: by(),
        key: key.map(Into::into),
        version: key.map(|_| Box::new(Version { number: 300, epoch: "e".into() })),
    };
    let create = Op::Create { channel: channel(), epoch: position(0).epoch, options: options() };
    let trim = Op::Trim { channel: channel(), first: 128 };
    let delivered = Op::Delivered { channel: channel(), offset: 300 };
    let forget = Op::Forget { channel: channel() };
    let key = Op::Key { channel: channel(), publisher: by(), key: "k".into() };
    vec![
        ("rep-key", rep(vec![key])),
        ("rep-append", rep(vec![append(entry(), None)])),
        ("rep-append-full", rep(vec![append(full_entry(), Some("k"))])),
        ("rep-others", rep(vec![create, trim, delivered, forget])),
    ]
}

fn outside() -> Named {
    let to = |op| Message::LogRequest(Box::new(LogRequest { id: 300, op }));
    let from = |said| Message::LogAnswer(Box::new(LogAnswer { id: 300, said }));
    let forget = Op::Forget { channel: channel("a") };
    let (kind, streams, publishers) = (StateKind::Logged, Vec::new(), Vec::new());
    let sync =
        SlotSync { slot: Slot(513), term: Epoch(2), number: 7, index: 9, base: None, standing: Standing::default() };
    let part = SlotState { kind, streams, publishers, ..sync.into() };
    let record = |part| {
        let (birth, term, number, start) = (Birth(1 << 63), Epoch(2), 3, 4);
        Arc::new(Record {
            birth,
            term,
            number,
            start,
            index: 300,
            whole: true,
            state: 9,
            weight: 1000,
            ops: vec![(300, forget.clone())],
            part,
        })
    };
    let logged = |place, part| Logged { place: Place(place), age: Duration::from_secs(1), record: record(part) };
    let slot = Slot(513);
    vec![
        ("log-last", to(LogOp::Last(slot))),
        ("log-append-first", to(LogOp::Append { slot, after: None, record: record(None) })),
        (
            "log-append",
            to(LogOp::Append { slot, after: Some(Place(300)), record: record(Some(Box::new(part.clone()))) }),
        ),
        ("log-read", to(LogOp::Read { slot, after: Some(Place(3)) })),
        ("log-trim", to(LogOp::Trim { slot, before: Place(300) })),
        ("log-slots", to(LogOp::Slots)),
        ("log-has-last", from(LogSaid::Last(Some(logged(300, None))))),
        ("log-has-none", from(LogSaid::Last(None))),
        ("log-has-appended", from(LogSaid::Appended(Place(301)))),
        ("log-refuses", from(LogSaid::Conflict)),
        ("log-is-full", from(LogSaid::Full)),
        ("log-has-records", from(LogSaid::Records(vec![logged(1, None), logged(300, Some(Box::new(part)))], true))),
        ("log-has-trimmed", from(LogSaid::Trimmed)),
        ("log-has-slots", from(LogSaid::Slots(SlotSet { bits: vec![0, 0x81] }))),
        ("log-is-absent", from(LogSaid::Absent)),
    ]
}
