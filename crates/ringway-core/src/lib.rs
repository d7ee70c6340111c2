//! The rules of Ringway: placement, views, slots, channels. No I/O, no clock, no randomness of its own.
