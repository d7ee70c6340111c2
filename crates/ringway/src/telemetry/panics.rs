//! A panic is told in the log. The standard library would write to stderr itself, and wait for whoever reads it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::error;

/// From now on.
pub(super) fn are_logged() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let why = panic.payload_as_str().unwrap_or("no reason was given");
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => {
            error!(%thread, %backtrace, "panicked at {place}: {why}. This is a fault in Ringway");
        }
        _ => error!(%thread, "panicked at {place}: {why}. This is a fault in Ringway"),
    }
}
