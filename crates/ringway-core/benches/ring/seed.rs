//! The ring of the system that Ringway grew from: 100 virtual nodes per server, named `host:port&&VNi`, and an FNV
//! with a finish of shifts in signed 32-bit arithmetic over UTF-16 units.

use crate::arcs::Ring;

const VIRTUAL_NODES: usize = 100;

pub(crate) fn ring(addresses: &[String]) -> Ring {
    let mut points = Vec::new();
    for (node, address) in addresses.iter().enumerate() {
        points.extend((0..VIRTUAL_NODES).map(|i| (hash(&format!("{address}&&VN{i}")), node as u16)));
    }
    // The absolute value leaves half of the numbers.
    Ring::new(points, addresses.len(), 1 << 31)
}

pub(crate) fn hash(name: &str) -> u32 {
    let mut h = 2_166_136_261_u32 as i32;
    for c in name.encode_utf16() {
        h = (h ^ i32::from(c)).wrapping_mul(16_777_619);
    }
    h = h.wrapping_add(h << 13);
    h ^= h >> 7;
    h = h.wrapping_add(h << 3);
    h ^= h >> 17;
    h = h.wrapping_add(h << 5);
    h.unsigned_abs()
}

/// Holds the hash against values computed apart from this code, so that the comparison is with the real thing.
pub(crate) fn check() {
    for (name, expected) in
        [("", 1_494_218_850), ("alice", 1_241_347_326), ("127.0.0.1:7000&&VN0", 146_959_383), ("ünïcode", 553_195_842)]
    {
        assert_eq!(hash(name), expected, "{name:?}");
    }
}
