//! Publications between the form in which streams keep them and the one that clients see.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use ringway_core::id::StreamEpoch;
use ringway_core::message::Entry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ClientInfo, Publication};

/// A kept publication, unfolded.
#[derive(Debug)]
pub struct Stored<'a> {
    offset: u64,
    data: &'a [u8],
    info: Option<Info<'a>>,
    tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The publishing client.
#[derive(Debug, Serialize, Deserialize)]
struct Info<'a> {
    #[serde(borrow, default)]
    user: Cow<'a, str>,
    #[serde(borrow, default)]
    client: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    conn_info: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    chan_info: Option<&'a RawValue>,
}

impl<'a> Stored<'a> {
    /// Unfolds an entry. Parts that are not what a gateway or the server API wrote are left out.
    pub fn of(offset: u64, entry: &'a Entry) -> Self {
        let info = entry.info.as_deref().and_then(|info| serde_json::from_slice(info).ok());
        let tags = entry.tags.as_deref().and_then(|tags| serde_json::from_slice(tags).ok());
        Self { offset, data: &entry.data, info, tags: tags.unwrap_or_default() }
    }

    /// As backends are told it.
    pub fn publication(&self) -> Publication<'_> {
        let raw = |part: Option<&'a RawValue>| part.map_or(&b""[..], |part| part.get().as_bytes());
        let info = self.info.as_ref().map(|info| ClientInfo {
            user: &info.user,
            client: &info.client,
            conn_info: raw(info.conn_info),
            chan_info: raw(info.chan_info),
        });
        let tags = self.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        Publication { offset: self.offset, data: self.data, info, tags, epoch: "" }
    }

    /// As it is told to clients: the first one of a stream says which stream it is.
    pub fn told<'b>(&'b self, epoch: Option<&'b StreamEpoch>) -> Publication<'b> {
        let epoch = epoch.filter(|_| self.offset == 1).map_or("", StreamEpoch::as_str);
        Publication { epoch, ..self.publication() }
    }
}

/// The user whose client published it, empty if anonymous; `None` for what backends publish.
pub fn publisher_of(entry: &Entry) -> Option<Cow<'_, str>> {
    let info: Info<'_> = serde_json::from_slice(entry.info.as_deref()?).ok()?;
    Some(info.user)
}

/// The `info` of what a client publishes.
pub fn info_of(user: &str, client: &str, conn_info: Option<&Bytes>, chan_info: Option<&Bytes>) -> Bytes {
    let info = Info {
        user: user.into(),
        client: client.into(),
        conn_info: conn_info.and_then(|info| serde_json::from_slice(info).ok()),
        chan_info: chan_info.and_then(|info| serde_json::from_slice(info).ok()),
    };
    serde_json::to_vec(&info).expect("strings and raw JSON always serialize").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let conn_info = Bytes::from_static(br#"{"name":"Ann"}"#);
        let entry = Entry {
            data: Bytes::from_static(b"[1]"),
            info: Some(info_of("a\"nn", "c1", Some(&conn_info), Some(&Bytes::from_static(b"[2]")))),
            tags: Some(Bytes::from_static(br#"{"k":"v"}"#)),
        };
        let stored = Stored::of(7, &entry);
        let publication = stored.publication();
        let info = publication.info.unwrap();
        assert_eq!((info.user, info.client, info.conn_info), ("a\"nn", "c1", &conn_info[..]));
        assert_eq!(info.chan_info, b"[2]");
        assert_eq!((publication.offset, publication.data, publication.tags), (7, &b"[1]"[..], vec![("k", "v")]));
    }

    #[test]
    fn a_damaged_part_is_left_out() {
        let entry = Entry { data: Bytes::from_static(b"1"), info: Some(Bytes::from_static(b"{")), tags: None };
        assert!(Stored::of(1, &entry).publication().info.is_none());
    }
}
