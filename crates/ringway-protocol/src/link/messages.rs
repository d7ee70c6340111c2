//! The spelling of every message: for each type the list of its fields, for each variant its number.
//!
//! A change here is a change of the link's version: how to make one stands in the parent's documentation.

use bytes::BufMut;
use ringway_core::id::Position;
use ringway_core::keeping::Keeping;
use ringway_core::logbook::{LogAnswer, LogOp, LogRequest, LogSaid, Logged, Record};
use ringway_core::message::{
    Answer, Attach, AttachFrom, Attached, Census, ChannelsPage, ChannelsQuery, ClaimedSlot, Deed, Deliver, Detach,
    Durability, Entry, Frame, Have, HistoryPage, HistoryQuery, Lane, Load, Message, NewExpiry, NewSub, NodeInfo, Op,
    Order, Post, Presence, PresencePage, PresenceQuery, PubId, PubNo, PubOk, Publish, PublisherState, Query, Refusal,
    RegistryAnswer, RegistryOp, RegistryRequest, Rep, Reset, ResetCount, SessionChange, SlotState, SlotSync, Standing,
    StateKind, StreamState, Toll, Version,
};
use ringway_core::pauses::Pauses;
use ringway_core::registry::store::{Said, StoreAnswer, StoreOp, StoreRequest, Stored};
use ringway_core::ring::SlotSet;
use ringway_core::view::{GatewayEntry, NodeEntry, View};

use super::FrameError;
use super::input::Input;
use super::wire::{Out, Wire, put_bytes, wire_enum, wire_struct};

wire_struct!(last Frame { epoch, [message] });

wire_enum!(last Message {
    0 => Ping([load]),
    1 => Moved([view]),
    2 => RegistryRequest([request]),
    3 => RegistryAnswer([answer]),
    4 => Reset([order]),
    5 => ResetCount([count]),
    6 => Toll([toll]),
    7 => KeptOut(why),
    8 => Keeping([keeping]),
    9 => StoreRequest([request]),
    43 => StoreAnswer([answer]),
    44 => LogRequest([request]),
    45 => LogAnswer([answer]),
    10 => Publish([publish]),
    11 => PubOk([ok]),
    12 => PubNo([no]),
    13 => Attach(attaches),
    14 => Attached([attached]),
    15 => Deliver([deliver]),
    16 => AttachesDone(epoch),
    17 => Detach([detach]),
    18 => Detached(attach),
    19 => Delivered(positions),
    20 => Sessions([change]),
    21 => Query(id, [query]),
    22 => Answer(id, [answer]),
    24 => Order(number, [order]),
    26 => Obeyed(number),
    25 => AttachRefused(attach, why),
    50 => Post(number, [post]),
    51 => Posted(number, taken),
    30 => Claim(slots),
    31 => Claimed(slots),
    32 => Fetch(slots),
    33 => State([state]),
    34 => Rep([ops]),
    35 => Have(slots),
    36 => Mark(slots),
    37 => Release(slots),
    38 => Released(slots),
    39 => Settled(epoch),
    40 => Syncs(slots),
    41 => Taken(lane, bytes),
});

// The view and the registry.
wire_struct!(last Load {
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
    keys_full,
    dropped,
    log_away,
    log_full,
    log_foreign,
    relayed
});
wire_struct!(last Toll { process, waiting, gaps, doubles, reorders, closed, pauses });
wire_struct!(open Pauses { buckets, longest, total });
wire_struct!(open View { epoch, key, slots, copies, ack_copies, nodes, gateways, removals, crashes, checksum, removals_over });
wire_struct!(open NodeEntry { id, incarnation, address, now, next });
wire_struct!(open GatewayEntry { id, incarnation, address, link, draining });
wire_struct!(last RegistryRequest { id, [op] });
wire_struct!(last RegistryAnswer { id, done, view, lapsed });
wire_struct!(closed SlotSet { bits });
wire_struct!(last Reset { number, slots, window });
wire_struct!(last ResetCount { number, meant, closed, done });
wire_enum!(last RegistryOp {
    0 => Renew(incarnation),
    1 => Put(incarnation),
    2 => Cas([view]),
    3 => Leases,
    4 => Read,
});

wire_struct!(last StoreRequest { id, [op] });
wire_struct!(last StoreAnswer { id, life, [said] });
wire_enum!(last StoreOp {
    0 => ReadView,
    1 => ReadLease(of),
    2 => Leases,
    3 => WriteView { at, view, life },
    4 => WriteLease { of, at, count },
    5 => EndLease { of, at },
});
wire_struct!(open Stored { revision, life, view });
wire_enum!(last Said {
    0 => View(found),
    1 => Lease(found),
    2 => Leases(all),
    3 => Written(at),
    4 => Ended,
    5 => Conflict,
});

// The log.
wire_struct!(last LogRequest { id, [op] });
wire_struct!(last LogAnswer { id, [said] });
wire_enum!(last LogOp {
    0 => Last(slot),
    1 => Append { slot, after, record },
    2 => Read { slot, after },
    3 => Trim { slot, before },
    4 => Slots,
});
wire_enum!(last LogSaid {
    0 => Last(found),
    1 => Appended(at),
    2 => Conflict,
    3 => Full,
    4 => Records(records, more),
    5 => Trimmed,
    6 => Slots(slots),
    7 => Absent,
});
wire_struct!(open Logged { place, age, record });
wire_struct!(open Record { birth, term, number, start, index, whole, state, weight, ops, part });

// Between gateways and owners.
wire_struct!(last Keeping { kinds });

wire_struct!(closed Position { epoch, offset });

/// An entry is kept as it is sent: what it says is written and read elsewhere.
impl Wire for Entry {
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        put_bytes(self.packed(), out);
    }

    #[inline]
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok(Self::from_packed(input.bytes()?)?)
    }
}

wire_struct!(last Publish { slot, seq, floor, channel, entry, options, idempotency_key, version, durability });
wire_enum!(closed Durability { 0 => Memory, 1 => Log });
wire_struct!(closed Version { number, epoch });
wire_struct!(last PubOk { slot, seq, position, copies, durability });
wire_struct!(last PubNo { slot, seq, why, durability });
wire_enum!(closed Refusal { 0 => Retry, 1 => Full, 2 => Unrecoverable, 3 => NotAvailable });
wire_struct!(open Attach { channel, attach, from, options, sessions, presence, confirmed, more });
wire_enum!(closed AttachFrom { 0 => Top, 1 => Inbox, 2 => At(position) });
wire_struct!(last Attached { attach, stream, from, users });
wire_struct!(last Deliver { attach, offset, entry });
wire_struct!(last Detach { channel, attach, delivered, durability });
wire_struct!(flagged Presence { client, user; 0 => conn_info, 1 => chan_info });
wire_struct!(last SessionChange { channel, attach, sessions, joined, left, last, more });
wire_enum!(last Query {
    0 => History([query]),
    1 => Presence([query]),
    2 => Channels([query]),
    3 => Info,
    4 => PresenceStats(channel),
    5 => Order([order]),
    6 => RemoveHistory(channel, options),
    10 => Post([post]),
});
wire_struct!(last Post { gateway, session, number, data });
wire_struct!(closed Census { node, epoch, losses });
wire_struct!(last PresenceQuery { channel, after });
wire_struct!(last ChannelsQuery { epoch, after });
wire_struct!(last HistoryQuery { channel, options, since, limit, reverse });
wire_enum!(last Answer {
    0 => History([page]),
    1 => Presence([page]),
    2 => Channels([page]),
    3 => Info([info]),
    4 => Refused(why),
    5 => PresenceStats(clients, users),
    6 => Obeyed,
    7 => Removed,
    10 => Posted(taken),
});
wire_struct!(last PresencePage { census, clients, more });
wire_struct!(last ChannelsPage { census, channels, more });
wire_struct!(last HistoryPage { top, publications, more });
wire_struct!(last NodeInfo { subscriptions, users, channels, uptime });
wire_struct!(last Order { user, client, whitelist, [deed] });
wire_enum!(last Deed {
    0 => Close { code, reason },
    1 => Subscribe([sub]),
    2 => Unsubscribe(channel),
    3 => Refresh([refresh]),
});
wire_struct!(last NewSub { channel, info, data, since, lifetime, overrides });
wire_struct!(last NewExpiry { is_over, lifetime, info });

// Between nodes.
wire_struct!(closed ClaimedSlot { slot, mark, term, index });
wire_struct!(open SlotState { slot, kind, term, index, base, part, last, streams, publishers, standing });
wire_struct!(closed SlotSync { slot, term, number, index, base, standing });
wire_struct!(closed Standing { read, early });
wire_enum!(closed Lane { 0 => Copies, 1 => Deliveries, 2 => Attaches });
wire_enum!(closed StateKind { 0 => Sync(number), 1 => Fetched, 2 => Logged });
wire_struct!(open StreamState { channel, options, top, delivered, first, start, entries, keys, last, version });
wire_struct!(open PublisherState { gateway, last, taken, durability });
wire_struct!(closed PubId { gateway, durability, seq, floor });
wire_struct!(last Rep { slot, term, index, ops });
wire_enum!(closed Op {
    0 => Create { channel, epoch, options },
    1 => Append { channel, options, offset, first, entry, publisher, key, version },
    2 => Trim { channel, first },
    3 => Delivered { channel, offset },
    4 => Forget { channel },
    5 => Key { channel, publisher, key },
});
wire_struct!(closed Have { slot, term, sync, index, mark });
