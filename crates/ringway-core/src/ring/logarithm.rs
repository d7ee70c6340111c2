//! The logarithm behind weighted scores, in fixed point and in integers alone: no `f64::ln`, whose last bit differs
//! between machines.

/// Bits after the point. 48 leave room for the whole part (at most 64) and tell apart costs of thousands of nodes.
const FRACTION_BITS: u32 = 48;

/// Segments of the table are 2^10 per octave. Between knots the logarithm is a straight line, wrong by at most one
/// part in 2^11 of the cost: a share of slots is off by 0.05 % where weights differ, and by nothing where they are
/// equal.
const SEGMENT_BITS: u32 = 10;
const SEGMENTS: usize = 1 << SEGMENT_BITS;

/// Bits of a normalized number below those that choose the segment.
const OFFSET_BITS: u32 = 63 - SEGMENT_BITS;

/// log2(1 + i/1024) for each knot, computed by the compiler.
static KNOTS: [u64; SEGMENTS + 1] = knots();

/// What a draw costs: -log2 of the draw as a number in (0, 1), with 48 bits after the point. The higher the draw the
/// lower the cost; it never rises with the draw, because each segment is a rising line rounded down that ends where
/// the next begins.
pub(super) fn cost(draw: u64) -> u64 {
    (64 << FRACTION_BITS) - log2(draw | 1)
}

/// log2 of a number that is not zero.
#[inline]
fn log2(number: u64) -> u64 {
    let zeros = number.leading_zeros();
    let normalized = number << zeros;
    let segment = (normalized >> OFFSET_BITS) as usize & (SEGMENTS - 1);
    let offset = normalized & ((1 << OFFSET_BITS) - 1);
    let (low, high) = (KNOTS[segment], KNOTS[segment + 1]);
    let rise = (u128::from(high - low) * u128::from(offset)) >> OFFSET_BITS;
    (u64::from(63 - zeros) << FRACTION_BITS) + low + rise as u64
}

const fn knots() -> [u64; SEGMENTS + 1] {
    let mut knots = [0; SEGMENTS + 1];
    let mut i = 0;
    while i < SEGMENTS {
        knots[i] = log2_by_squaring((1 << 63) | ((i as u64) << OFFSET_BITS));
        i += 1;
    }
    knots[SEGMENTS] = 1 << FRACTION_BITS;
    knots
}

/// The fraction of log2 of a normalized number, one bit per squaring: squaring doubles the logarithm, and a result of
/// two or more yields a one.
const fn log2_by_squaring(mut normalized: u64) -> u64 {
    let mut log = 0;
    let mut bit = 0;
    while bit < FRACTION_BITS {
        let square = normalized as u128 * normalized as u128;
        let carry = (square >> 127) as u64;
        normalized = (square >> (63 + carry)) as u64;
        log = log << 1 | carry;
        bit += 1;
    }
    log
}

#[cfg(test)]
mod tests;
