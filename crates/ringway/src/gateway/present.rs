//! Presence, from what owners keep to what clients and backends see.

use bytes::Bytes;
use ringway_core::message::Presence;
use ringway_protocol::centrifuge::ClientInfo;
use uuid::Uuid;

/// The id of a connection as clients see it.
pub(crate) fn client_id(presence: &Presence) -> String {
    Uuid::from_u128(presence.client).to_string()
}

/// Who it is, as clients see it.
pub(crate) fn client_info<'a>(presence: &'a Presence, client: &'a str) -> ClientInfo<'a> {
    let raw = |info: &'a Option<Bytes>| info.as_deref().unwrap_or_default();
    ClientInfo {
        user: &presence.user,
        client,
        conn_info: raw(&presence.conn_info),
        chan_info: raw(&presence.chan_info),
    }
}

/// Bytes of those who are told to an owner with one message.
pub(super) const PART_BYTES: usize = 128 << 10;

/// Bytes of a client id, as it is counted.
const CLIENT_BYTES: usize = 16;

/// Who came and went, as far as one message tells.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) joined: Vec<Presence>,
    pub(super) left: Vec<u128>,
    pub(super) bytes: usize,
}

/// Those who went and those who came, in parts of no more bytes than one message may have. There is always one, which may be empty; any
/// other has somebody in it. Nobody is among both.
pub(super) fn parts(joined: impl Iterator<Item = Presence>, left: Vec<u128>) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut take = |bytes: usize, put: &mut dyn FnMut(&mut Part)| {
        if parts.last().is_none_or(|part| part.bytes + bytes > PART_BYTES) {
            parts.push(Part::default());
        }
        if let Some(part) = parts.last_mut() {
            part.bytes += bytes;
            put(part);
        }
    };
    for client in left {
        take(CLIENT_BYTES, &mut |part| part.left.push(client));
    }
    for one in joined {
        take(one.size(), &mut |part| part.joined.push(one.clone()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use ringway_core::limits::{ANY_USER_NAME_BYTES, CLIENT_INFO_BYTES};

    use super::*;

    #[test]
    fn very_many_are_told_in_parts() {
        let one = |client: u128| Presence {
            client,
            user: "u".repeat(ANY_USER_NAME_BYTES).into(),
            conn_info: Some(Bytes::from(vec![b'x'; if client.is_multiple_of(10) { CLIENT_INFO_BYTES } else { 1000 }])),
            chan_info: None,
        };
        let all: Vec<Presence> = (0..1000).map(one).collect();
        let left: Vec<u128> = (1_000_000..1_100_000).collect();
        let told = parts(all.iter().cloned(), left.clone());
        assert!(told.len() > 50);
        assert!(told.iter().all(|part| part.bytes > 0 && part.bytes <= PART_BYTES), "no more than a part");
        let joined: Vec<Presence> = told.iter().flat_map(|part| part.joined.iter().cloned()).collect();
        let gone: Vec<u128> = told.iter().flat_map(|part| part.left.iter().copied()).collect();
        assert!(joined == all && gone == left, "everybody, once");
        assert_eq!(parts(std::iter::empty(), Vec::new()).len(), 1, "how many there are is told all the same");
    }
}
