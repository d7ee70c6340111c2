use proptest::prelude::*;

use super::*;

fn packed(publication: &Publication<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    publication.pack(&mut out);
    out
}

#[test]
fn a_publication_without_info_costs_one_byte() {
    assert_eq!(packed(&Publication { offset: 7, data: b"{}", ..Publication::default() }), b"\0{}");
}

#[test]
fn damaged_entries_are_refused() {
    for entry in
        [&b""[..], b"\x04{}", b"\x01", b"\x01\x05ab", b"\x02\x01\x01a", b"\x01\xff\xff\xff\xff\x01", b"\x01\x01\xff"]
    {
        assert_eq!(Publication::unpack(1, entry), Err(BadEntry), "{entry:?}");
    }
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(
        offset: u64, data: Vec<u8>, named: bool, user: String, client in ".{0,300}", conn_info: Vec<u8>,
        tags in prop::collection::vec((".*", ".*"), 0..4),
    ) {
        let info = named.then_some(ClientInfo { user: &user, client: &client, conn_info: &conn_info, chan_info: b"" });
        let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let publication = Publication { offset, data: &data, info, tags, epoch: "" };
        let entry = packed(&publication);
        let unpacked = Publication::unpack(offset, &entry);
        prop_assert_eq!(unpacked, Ok(publication));
    }

    #[test]
    fn random_bytes_never_panic(entry: Vec<u8>) {
        let _ = Publication::unpack(1, &entry);
    }
}
