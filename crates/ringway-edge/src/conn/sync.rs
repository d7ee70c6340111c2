//! What the pipe locks with. The model of it brings its own, which tries every order.

pub(super) use parking_lot::{Mutex, MutexGuard};
pub(super) use std::sync::atomic::{AtomicU16, Ordering};
