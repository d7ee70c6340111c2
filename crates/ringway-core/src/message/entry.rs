//! What a publication carries, in the one packed form in which streams keep it and links carry it.
//!
//! ```text
//!   entry   field …                      in the order of their kinds; a kind that may be there more than once stands together
//!   field   kind u8 | length | bytes     the length is a LEB128 varint
//! ```
//!
//! Only who writes an entry and who encodes it for a client looks inside. A field of a kind that a reader does not know is kept and passed
//! on, so a later release may add kinds, and nothing in between loses what they say. A kind is never used for something else.

use bytes::Bytes;

/// Kinds of fields. The payload comes first.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const USER: u8 = 1;
    pub(super) const CLIENT: u8 = 2;
    pub(super) const CONN_INFO: u8 = 3;
    pub(super) const CHAN_INFO: u8 = 4;
    /// Length of the key, key, value. There may be many.
    pub(super) const TAG: u8 = 5;
    /// Without content: the payload is any bytes, and not compact JSON.
    pub(super) const OPAQUE: u8 = 6;
    /// Nothing was published: something happened to the publisher. One byte.
    pub(super) const HAPPENING: u8 = 7;
}

/// Bits of a length that one byte carries.
const VARINT_BITS: u32 = 7;

/// Most bytes that a field's head takes: its kind, and the longest length that a `u32` has.
const HEAD: usize = 6;

/// What a publication carries. The owner adds the offset. One run of bytes, however much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    packed: Bytes,
}

/// What happened to a subscriber, of which others in the channel are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It has come.
    Join,
    /// It has left.
    Leave,
}

/// The client that published something, as others see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publisher<'a> {
    /// Its user; empty for an anonymous one.
    pub user: &'a str,
    /// The id of its connection.
    pub client: u128,
    /// What its connection's token says about the user; empty for nothing.
    pub conn_info: &'a [u8],
    /// What its subscription's token says about the user; empty for nothing.
    pub chan_info: &'a [u8],
}

/// Bytes are no packed entry. Nothing of them is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a publication is malformed: a field of it ends behind its end, or is not what its kind says")]
pub struct MalformedEntry;

impl Entry {
    /// Of nobody, without tags: what a backend publishes.
    pub fn of(data: &[u8]) -> Self {
        Self::with_tags(data, [])
    }

    /// The same with tags.
    pub fn with_tags<'a>(data: &[u8], tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut packed = Vec::with_capacity(HEAD + data.len());
        put_field(&mut packed, kind::DATA, data);
        let mut tag = Vec::new();
        for (key, value) in tags {
            tag.clear();
            put_length(&mut tag, key.len());
            tag.extend_from_slice(key.as_bytes());
            tag.extend_from_slice(value.as_bytes());
            put_field(&mut packed, kind::TAG, &tag);
        }
        Self { packed: packed.into() }
    }

    /// What a client publishes.
    pub fn by(data: &[u8], publisher: &Publisher<'_>) -> Self {
        let Publisher { user, client, conn_info, chan_info } = publisher;
        let parts = [data.len(), user.len(), size_of::<u128>(), conn_info.len(), chan_info.len()];
        let mut packed = Vec::with_capacity(parts.iter().map(|part| HEAD + part).sum());
        put_field(&mut packed, kind::DATA, data);
        put_field(&mut packed, kind::USER, user.as_bytes());
        put_field(&mut packed, kind::CLIENT, &client.to_le_bytes());
        for (kind, info) in [(kind::CONN_INFO, conn_info), (kind::CHAN_INFO, chan_info)] {
            if !info.is_empty() {
                put_field(&mut packed, kind, info);
            }
        }
        packed.shrink_to_fit();
        Self { packed: packed.into() }
    }

    /// Says of the payload that it is any bytes, and not compact JSON: whoever tells it to a reader of JSON has to make JSON of it.
    #[must_use]
    pub fn opaque(self) -> Self {
        let mut packed = Vec::with_capacity(self.packed.len() + 2);
        packed.extend_from_slice(&self.packed);
        put_field(&mut packed, kind::OPAQUE, b"");
        Self { packed: packed.into() }
    }

    /// Copies an entry out of what somebody sent.
    ///
    /// # Errors
    /// [`MalformedEntry`] if it cannot be read to its end.
    pub fn from_packed(packed: &[u8]) -> Result<Self, MalformedEntry> {
        let mut fields = Fields { rest: packed };
        for (kind, field) in &mut fields {
            let is_good = match kind {
                kind::USER => std::str::from_utf8(field).is_ok(),
                kind::CLIENT => field.len() == size_of::<u128>(),
                kind::TAG => tag(field).is_some(),
                _ => true,
            };
            if !is_good {
                return Err(MalformedEntry);
            }
        }
        if fields.rest.is_empty() { Ok(Self { packed: Bytes::copy_from_slice(packed) }) } else { Err(MalformedEntry) }
    }

    /// The whole of it, as it is kept and sent.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// What was published: compact JSON, as it was checked on the way in, or any bytes if it [is opaque](Self::is_opaque).
    pub fn data(&self) -> &[u8] {
        self.fields().find(|(kind, _)| *kind == kind::DATA).map(|(_, field)| field).unwrap_or_default()
    }

    /// The payload is any bytes, and not compact JSON.
    pub fn is_opaque(&self) -> bool {
        self.fields().any(|(kind, _)| kind == kind::OPAQUE)
    }

    /// Whose client published it; `None` for what backends publish.
    pub fn publisher(&self) -> Option<Publisher<'_>> {
        let (mut publisher, mut is_there) = (Publisher::default(), false);
        for (kind, field) in self.fields() {
            match kind {
                kind::USER => publisher.user = std::str::from_utf8(field).unwrap_or_default(),
                kind::CLIENT => {
                    publisher.client = field.first_chunk().copied().map(u128::from_le_bytes).unwrap_or_default();
                    is_there = true;
                }
                kind::CONN_INFO => publisher.conn_info = field,
                kind::CHAN_INFO => publisher.chan_info = field,
                _ => {}
            }
        }
        is_there.then_some(publisher)
    }

    /// Key-value pairs that the publisher added.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.fields().filter(|(kind, _)| *kind == kind::TAG).filter_map(|(_, field)| tag(field))
    }

    /// The same, but that nothing was published: this has happened to the publisher.
    #[must_use]
    pub fn happening(self, what: Happening) -> Self {
        let mut packed = self.packed.to_vec();
        put_field(&mut packed, kind::HAPPENING, &[what as u8]);
        Self { packed: packed.into() }
    }

    /// What has happened to the publisher; `None` for a publication.
    pub fn happened(&self) -> Option<Happening> {
        let (_, field) = self.fields().find(|(kind, _)| *kind == kind::HAPPENING)?;
        match field {
            [0] => Some(Happening::Join),
            [1] => Some(Happening::Leave),
            _ => None,
        }
    }

    /// Bytes that it takes, for limits.
    pub fn size(&self) -> usize {
        self.packed.len()
    }

    fn fields(&self) -> Fields<'_> {
        Fields { rest: &self.packed }
    }
}

/// The fields that are left to read. Ends before what cannot be read, and leaves that.
#[derive(Debug, Clone)]
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.rest.split_first()?;
        let (length, rest) = take_length(rest)?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((kind, field))
    }
}

fn tag(field: &[u8]) -> Option<(&str, &str)> {
    let (length, rest) = take_length(field)?;
    let (key, value) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?))
}

fn put_field(out: &mut Vec<u8>, kind: u8, field: &[u8]) {
    out.push(kind);
    put_length(out, field.len());
    out.extend_from_slice(field);
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= VARINT_BITS;
    }
    out.push(length as u8);
}

#[inline]
fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut length, mut shift) = (0_u64, 0);
    for (at, byte) in bytes.iter().enumerate().take(HEAD - 1) {
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(length).ok()?, &bytes[at + 1..]));
        }
        shift += VARINT_BITS;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Publisher<'static> =
        Publisher { user: "a\"nn", client: 7 << 100, conn_info: b"{\"name\":\"Ann\"}", chan_info: b"" };

    #[test]
    fn what_is_packed_comes_back() {
        let long = vec![b'x'; 70_000];
        for data in [&b""[..], b"1", &[0xff, 0], &long] {
            let entry = Entry::by(data, &ANN);
            assert_eq!((entry.data(), entry.publisher(), entry.tags().count()), (data, Some(ANN), 0));
            let tags = [("k", "v"), ("q\"", ""), ("", "é")];
            let tagged = Entry::with_tags(data, tags);
            assert_eq!((tagged.data(), tagged.publisher()), (data, None));
            assert!(tagged.tags().eq(tags));
            for entry in [entry, tagged] {
                assert_eq!(Entry::from_packed(entry.packed()), Ok(entry.clone()));
                assert_eq!(entry.size(), entry.packed().len());
            }
        }
    }

    #[test]
    fn something_may_have_happened_to_the_publisher() {
        let entry = Entry::by(b"", &ANN);
        assert_eq!(entry.happened(), None);
        for what in [Happening::Join, Happening::Leave] {
            let told = entry.clone().happening(what);
            assert_eq!((told.happened(), told.publisher()), (Some(what), Some(ANN)));
            assert_eq!(Entry::from_packed(told.packed()), Ok(told));
        }
    }

    #[test]
    fn an_opaque_payload_is_told_from_one_that_only_looks_so() {
        for entry in [Entry::of(&[6, 0]), Entry::by(&[6, 0], &ANN), Entry::with_tags(b"1", [("k", "\u{6}\0")])] {
            assert!(!entry.is_opaque());
            let opaque = entry.clone().opaque();
            assert!(opaque.is_opaque() && Entry::from_packed(opaque.packed()).unwrap().is_opaque());
            assert_eq!((opaque.data(), opaque.publisher()), (entry.data(), entry.publisher()));
            assert!(opaque.tags().eq(entry.tags()));
        }
    }

    #[test]
    fn what_a_later_release_adds_is_kept_and_skipped() {
        let mut packed = Entry::by(b"1", &ANN).packed().to_vec();
        put_field(&mut packed, 200, b"new");
        put_field(&mut packed, 201, &[0xff; 300]);
        let entry = Entry::from_packed(&packed).unwrap();
        assert_eq!((entry.data(), entry.publisher(), entry.packed()), (&b"1"[..], Some(ANN), &packed[..]));
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_refused() {
        let entry = Entry::by(b"12", &ANN);
        for end in 1..entry.packed().len() {
            let cut = &entry.packed()[..end];
            let ends_with_a_field = {
                let mut fields = Fields { rest: cut };
                fields.by_ref().for_each(drop);
                fields.rest.is_empty()
            };
            assert_eq!(Entry::from_packed(cut).is_ok(), ends_with_a_field, "{end}");
        }
        let one = |kind, field: &[u8]| {
            let mut packed = Vec::new();
            put_field(&mut packed, kind, field);
            packed
        };
        let endless = [kind::DATA, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let beyond = [kind::DATA, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
        let bad_tag = one(kind::TAG, &[3, b'k']);
        let bad = [one(kind::USER, &[0xff]), one(kind::CLIENT, b"short"), bad_tag, endless.to_vec(), beyond.to_vec()];
        for packed in bad {
            assert_eq!(Entry::from_packed(&packed), Err(MalformedEntry), "{packed:?}");
        }
    }
}
