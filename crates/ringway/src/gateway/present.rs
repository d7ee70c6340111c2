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
