//! Publications between the form in which streams keep them and the one that clients see.

use ringway_core::id::StreamEpoch;
use ringway_core::message::{Entry, Publisher};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::{ClientInfo, Publication, Shape};

/// A kept publication that is about to be told.
#[derive(Debug)]
pub struct Stored<'a> {
    offset: u64,
    entry: &'a Entry,
    publisher: Option<Publisher<'a>>,
    /// The id of the connection it came on, as clients see it.
    client: [u8; Hyphenated::LENGTH],
}

impl<'a> Stored<'a> {
    /// An entry at its place; 0 without history.
    pub fn of(offset: u64, entry: &'a Entry) -> Self {
        let mut client = [b'0'; Hyphenated::LENGTH];
        let publisher = entry.publisher();
        if let Some(publisher) = &publisher {
            Uuid::from_u128(publisher.client).hyphenated().encode_lower(&mut client);
        }
        Self { offset, entry, publisher, client }
    }

    /// As backends are told it.
    pub fn publication(&self) -> Publication<'_> {
        let info = self.publisher.as_ref().map(|publisher| ClientInfo {
            user: publisher.user,
            client: std::str::from_utf8(&self.client).unwrap_or_default(),
            conn_info: publisher.conn_info,
            chan_info: publisher.chan_info,
        });
        let tags = self.entry.tags().collect();
        let (data, is_opaque) = (self.entry.data(), self.entry.is_opaque());
        Publication { offset: self.offset, data, is_opaque, info, tags, epoch: "", shape: Shape::Plain }
    }

    /// As it is told to clients: the first one of a stream says which stream it is.
    pub fn told<'b>(&'b self, epoch: Option<&'b StreamEpoch>) -> Publication<'b> {
        let epoch = epoch.filter(|_| self.offset == 1).map_or("", StreamEpoch::as_str);
        Publication { epoch, ..self.publication() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told() {
        let publisher =
            Publisher { user: "a\"nn", client: 0x1234, conn_info: b"{\"name\":\"Ann\"}", chan_info: b"[2]" };
        let entry = Entry::by(b"[1]", &publisher);
        let stored = Stored::of(7, &entry);
        let publication = stored.publication();
        let info = publication.info.unwrap();
        assert_eq!((info.user, info.client), ("a\"nn", "00000000-0000-0000-0000-000000001234"));
        assert_eq!((info.conn_info, info.chan_info), (&b"{\"name\":\"Ann\"}"[..], &b"[2]"[..]));
        assert_eq!((publication.offset, publication.data), (7, &b"[1]"[..]));
        assert!(!publication.is_opaque && Stored::of(7, &entry.clone().opaque()).publication().is_opaque);
        let tagged = Entry::with_tags(b"1", [("k", "v")]);
        let stored = Stored::of(1, &tagged);
        assert_eq!((stored.publication().info, stored.publication().tags), (None, vec![("k", "v")]));
    }
}
