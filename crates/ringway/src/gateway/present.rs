//! Presence, from what owners keep to what clients and backends see.

use bytes::Bytes;
use ringway_core::message::Presence;
use ringway_protocol::centrifuge::ClientInfo;
use uuid::Uuid;

/// The id of a connection as clients see it.
fn client_id(presence: &Presence) -> String {
    Uuid::from_u128(presence.client).to_string()
}

/// Who it is, as clients see it.
fn client_info<'a>(presence: &'a Presence, client: &'a str) -> ClientInfo<'a> {
    let raw = |info: &'a Option<Bytes>| info.as_deref().unwrap_or_default();
    ClientInfo {
        user: &presence.user,
        client,
        conn_info: raw(&presence.conn_info),
        chan_info: raw(&presence.chan_info),
    }
}

/// Lets something be done with how all of them are told.
pub(crate) fn with_infos<T>(present: &[Presence], then: impl FnOnce(&[ClientInfo<'_>]) -> T) -> T {
    let clients: Vec<String> = present.iter().map(client_id).collect();
    let infos: Vec<ClientInfo<'_>> =
        present.iter().zip(&clients).map(|(one, client)| client_info(one, client)).collect();
    then(&infos)
}

/// Bytes of those who are told to an owner with one message.
pub(super) const PART_BYTES: usize = 128 << 10;

/// Who came and went, as far as one message tells.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) joined: Vec<Presence>,
    pub(super) left: Vec<u128>,
    bytes: usize,
}

impl Part {
    /// Counts so many bytes more. Where there is no room for them, another part takes the place of this one.
    fn take(&mut self, bytes: usize, full: &mut Vec<Self>) {
        if self.bytes > 0 && self.bytes + bytes > PART_BYTES {
            full.push(std::mem::take(self));
        }
        self.bytes += bytes;
    }
}

/// Those who went and those who came, in parts of no more bytes than one message may have. There is always one, which may be empty; any
/// other has somebody in it. Nobody is among both.
pub(super) fn parts(joined: impl Iterator<Item = Presence>, left: Vec<u128>) -> Vec<Part> {
    let (mut parts, mut part) = (Vec::new(), Part::default());
    for client in left {
        part.take(size_of::<u128>(), &mut parts);
        part.left.push(client);
    }
    for one in joined {
        part.take(one.size(), &mut parts);
        part.joined.push(one);
    }
    parts.push(part);
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
