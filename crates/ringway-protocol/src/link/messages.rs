//! The spelling of every message: for each type the list of its fields, for each variant its number.
//!
//! A change here is a change of the link's version.

use bytes::{BufMut, BytesMut};
use ringway_core::id::Position;
use ringway_core::message::{
    Answer, Attach, AttachFrom, Attached, ChannelOptions, ClaimedSlot, Deliver, Detach, Disconnect, Entry, Frame, Have,
    HistoryPage, HistoryQuery, Load, Message, NodeInfo, Op, Presence, PubNo, PubOk, Publish, PublisherState, Query,
    Refusal, RegistryAnswer, RegistryOp, RegistryRequest, Rep, Reset, ResetCount, SessionChange, SlotState, SlotSync,
    StateKind, StreamState, Toll,
};
use ringway_core::pauses::Pauses;
use ringway_core::ring::SlotSet;
use ringway_core::view::{GatewayEntry, NodeEntry, View};

use super::FrameError;
use super::input::Input;
use super::wire::{Wire, wire_enum, wire_struct};

wire_struct!(Frame { epoch, message });

wire_enum!(Message {
    0 => Ping(load),
    1 => Moved(view),
    2 => RegistryRequest(request),
    3 => RegistryAnswer(answer),
    4 => Reset(order),
    5 => ResetCount(count),
    6 => Toll(toll),
    7 => KeptOut(why),
    10 => Publish(publish),
    11 => PubOk(ok),
    12 => PubNo(no),
    13 => Attach(attaches),
    14 => Attached(attached),
    15 => Deliver(deliver),
    16 => AttachesDone(epoch),
    17 => Detach(detach),
    18 => Detached(attach),
    19 => Delivered(positions),
    20 => Sessions(change),
    21 => Query(id, query),
    22 => Answer(id, answer),
    23 => Disconnect(order),
    24 => Close(order),
    30 => Claim(slots),
    31 => Claimed(slots),
    32 => Fetch(slots),
    33 => State(state),
    34 => Rep(ops),
    35 => Have(slots),
    36 => Mark(slots),
    37 => Release(slots),
    38 => Released(slots),
    39 => Settled(epoch),
    40 => Syncs(slots),
});

// The view and the registry.
wire_struct!(Load {
    users,
    channels,
    sockets,
    history_bytes,
    unsettled,
    history_limit,
    alone,
    not_live,
    blocked,
    history_full,
    channels_full,
    keys_full
});
wire_struct!(Toll { process, waiting, gaps, doubles, reorders, closed, pauses });
wire_struct!(Pauses { buckets, longest, total });
wire_struct!(View { epoch, key, slots, copies, ack_copies, nodes, gateways, removals, crashes, checksum });
wire_struct!(NodeEntry { id, incarnation, address, now, next });
wire_struct!(GatewayEntry { id, incarnation, address, link, draining });
wire_struct!(RegistryRequest { id, op });
wire_struct!(RegistryAnswer { id, done, view, lapsed });
wire_struct!(SlotSet { bits });
wire_struct!(Reset { number, slots, window });
wire_struct!(ResetCount { number, meant, closed, done });
wire_enum!(RegistryOp {
    0 => Renew(incarnation),
    1 => Put(incarnation),
    2 => Cas(view),
    3 => Leases,
    4 => Read,
});

// Between gateways and owners.
wire_struct!(Position { epoch, offset });
wire_struct!(Entry { data, info, tags });
wire_struct!(ChannelOptions { history_size, history_ttl, presence });
wire_struct!(Publish { slot, seq, floor, channel, entry, options, idempotency_key });
wire_struct!(PubOk { slot, seq, position, copies });
wire_struct!(PubNo { slot, seq, why });
wire_enum!(Refusal { 0 => Retry, 1 => Full, 2 => Unrecoverable, 3 => NotAvailable });
wire_struct!(Attach { channel, attach, from, options, sessions, presence });
wire_enum!(AttachFrom { 0 => Top, 1 => Inbox, 2 => At(position) });
wire_struct!(Attached { attach, stream, from, users });
wire_struct!(Deliver { attach, offset, entry });
wire_struct!(Detach { channel, attach, delivered });
wire_struct!(Presence { client, user, conn_info, chan_info });
wire_struct!(SessionChange { channel, attach, sessions, joined, left });
wire_enum!(Query { 0 => History(query), 1 => Presence(channel), 2 => Channels, 3 => Info });
wire_struct!(HistoryQuery { channel, options, since, limit, reverse });
wire_enum!(Answer {
    0 => History(page),
    1 => Presence(clients),
    2 => Channels(channels),
    3 => Info(info),
    4 => Refused(why),
});
wire_struct!(HistoryPage { top, publications });
wire_struct!(NodeInfo { subscriptions, users, channels, uptime });
wire_struct!(Disconnect { user, client, whitelist, code, reason });

// Between nodes.
wire_struct!(ClaimedSlot { slot, mark, term, index });
wire_struct!(SlotState { slot, kind, term, index, base, part, last, streams, publishers });
wire_struct!(SlotSync { slot, term, number, index, base });
wire_enum!(StateKind { 0 => Sync(number), 1 => Fetched });
wire_struct!(StreamState { channel, options, top, delivered, entries, keys });
wire_struct!(PublisherState { gateway, last, taken });
wire_struct!(Rep { slot, term, index, ops });
wire_enum!(Op {
    0 => Create { channel, epoch, options },
    1 => Append { channel, options, offset, first, entry, publisher, key },
    2 => Trim { channel, first },
    3 => Delivered { channel, offset },
    4 => Forget { channel },
});
wire_struct!(Have { slot, term, sync, index, mark });
