use proptest::prelude::*;

use super::{FRACTION_BITS, KNOTS, OFFSET_BITS, SEGMENTS, cost, log2};

fn as_f64(fixed: u64) -> f64 {
    fixed as f64 / (1_u64 << FRACTION_BITS) as f64
}

#[test]
fn knots_agree_with_the_floating_logarithm_and_rise() {
    for (i, pair) in KNOTS.windows(2).enumerate() {
        let exact = (1.0 + i as f64 / SEGMENTS as f64).log2();
        assert!((as_f64(pair[0]) - exact).abs() < 1e-13, "knot {i}");
        assert!(pair[0] < pair[1], "knot {i}");
    }
}

#[test]
fn powers_of_two_are_exact() {
    for exponent in 0..64 {
        assert_eq!(log2(1 << exponent), u64::from(exponent as u32) << FRACTION_BITS);
    }
}

#[test]
fn the_ends_of_the_range_are_in_order() {
    assert_eq!(cost(0), 64 << FRACTION_BITS);
    assert!(cost(u64::MAX) < 16, "{}", cost(u64::MAX));
}

#[test]
fn cost_never_rises_across_a_knot() {
    for octave in 0..=OFFSET_BITS {
        for segment in 0..SEGMENTS as u64 {
            let knot = ((1 << 63) | segment << OFFSET_BITS) >> octave;
            assert!(cost(knot - 1) >= cost(knot), "at {knot:#x}");
        }
    }
}

proptest! {
    #[test]
    fn cost_never_rises_with_the_draw(a: u64, b: u64, step in 0_u64..100_000) {
        prop_assert_eq!(cost(a.max(b)).min(cost(a.min(b))), cost(a.max(b)));
        prop_assert!(cost(a) >= cost(a.saturating_add(step)));
    }

    #[test]
    fn cost_is_near_the_logarithm(draw in 1_u64..) {
        let exact = 64.0 - (draw as f64).log2();
        prop_assert!((as_f64(cost(draw)) - exact).abs() <= exact / 2048.0 + 1e-11);
    }
}
