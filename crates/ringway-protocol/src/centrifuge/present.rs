//! Presence, from what owners keep to what clients and backends see.

use bytes::Bytes;
use ringway_core::message::Presence;
use uuid::Uuid;

use super::ClientInfo;

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
pub fn with_infos<T>(present: &[Presence], then: impl FnOnce(&[ClientInfo<'_>]) -> T) -> T {
    let clients: Vec<String> = present.iter().map(client_id).collect();
    let infos: Vec<ClientInfo<'_>> =
        present.iter().zip(&clients).map(|(one, client)| client_info(one, client)).collect();
    then(&infos)
}
