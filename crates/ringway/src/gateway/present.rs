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

/// Connections and different users; all anonymous ones together are one user.
pub(crate) fn count(present: &[Presence]) -> (u32, u32) {
    let mut users: Vec<&str> = present.iter().map(|one| &*one.user).collect();
    users.sort_unstable();
    users.dedup();
    (present.len() as u32, users.len() as u32)
}

/// Bytes of those who are told to an owner with one message.
const PART_BYTES: usize = 128 << 10;

/// The same in parts of about as many bytes as one message may have. Nobody: no part.
pub(super) fn parts(present: impl Iterator<Item = Presence>) -> Vec<Vec<Presence>> {
    let (mut parts, mut bytes) = (Vec::new(), usize::MAX);
    for one in present {
        bytes = bytes.saturating_add(one.size());
        if bytes > PART_BYTES {
            parts.push(Vec::new());
            bytes = one.size();
        }
        if let Some(part) = parts.last_mut() {
            part.push(one);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_are_told_in_parts() {
        let one = |client| Presence {
            client,
            user: "ann".into(),
            conn_info: Some(Bytes::from(vec![b'x'; 1000])),
            chan_info: None,
        };
        assert!(parts(std::iter::empty()).is_empty());
        let told = parts((0..1000).map(one));
        assert!(told.len() > 5 && told.iter().all(|part| !part.is_empty() && part.len() <= 131));
        assert_eq!(told.concat(), (0..1000).map(one).collect::<Vec<_>>(), "everybody, once");
    }
}
