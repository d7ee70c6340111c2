//! A classic ring: each node has points on it, and a hash belongs to the next point.

/// Points in order, and how many hashes there are.
pub(crate) struct Ring {
    points: Vec<(u32, u16)>,
    nodes: usize,
    span: u64,
}

impl Ring {
    /// Makes a ring of (point, node). Of two nodes on one point the later keeps it, as in a map.
    pub(crate) fn new(mut points: Vec<(u32, u16)>, nodes: usize, span: u64) -> Self {
        points.reverse();
        points.sort_by_key(|(point, _)| *point);
        points.dedup_by_key(|(point, _)| *point);
        Self { points, nodes, span }
    }

    /// The node of the first point at or after the hash, or of the first of all.
    pub(crate) fn owner(&self, hash: u32) -> u16 {
        let next = self.points.partition_point(|(point, _)| *point < hash);
        self.points.get(next).unwrap_or(&self.points[0]).1
    }

    /// The part of all hashes that each node owns: the exact lengths of its arcs.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.nodes];
        let last = self.points[self.points.len() - 1].0;
        let mut before = i64::from(last) - self.span as i64;
        for &(point, node) in &self.points {
            shares[usize::from(node)] += (i64::from(point) - before) as f64 / self.span as f64;
            before = i64::from(point);
        }
        shares
    }
}
