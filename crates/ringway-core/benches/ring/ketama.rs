//! The ring of libketama, as many load balancers have it: 160 points per node, four from each of 40 MD5 sums.

use md5::{Digest, Md5};

use crate::arcs::Ring;

pub(crate) fn ring(addresses: &[String]) -> Ring {
    let mut points = Vec::new();
    for (node, address) in addresses.iter().enumerate() {
        for i in 0..40 {
            let sum = Md5::digest(format!("{address}-{i}"));
            points.extend(sum.chunks_exact(4).map(|part| (word(part), node as u16)));
        }
    }
    Ring::new(points, addresses.len(), 1 << 32)
}

pub(crate) fn hash(name: &str) -> u32 {
    word(&Md5::digest(name)[..4])
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
