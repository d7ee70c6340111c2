//! The rules in a deterministic world: seeds, faults, one checker.
