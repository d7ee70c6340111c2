//! Waiting for conditions instead of for time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Conditions are looked at this often: short beside what tests wait for, long beside what a look costs.
const LOOK: Duration = Duration::from_millis(20);

/// Asks `condition` until it gives something.
///
/// # Panics
/// `limit` passed first. The message says where, and after how many looks.
#[track_caller]
pub fn eventually<T, F>(limit: Duration, mut condition: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    eventually_ok(limit, move || {
        let look = condition();
        async move { look.await.ok_or("not yet") }
    })
}

/// Asks `condition` until it gives `Ok`.
///
/// # Panics
/// `limit` passed first. The message says where, after how many looks, and what the last failure was.
#[track_caller]
pub fn eventually_ok<T, E, F>(limit: Duration, mut condition: impl FnMut() -> F) -> impl Future<Output = T>
where
    E: Debug,
    F: Future<Output = Result<T, E>>,
{
    let place = std::panic::Location::caller();
    async move {
        let end = Instant::now() + limit;
        for looks in 1_u64.. {
            match condition().await {
                Ok(value) => return value,
                Err(last) if Instant::now() >= end => {
                    panic!("{place}: not within {limit:?} ({looks} looks); the last time: {last:?}")
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
        unreachable!("nobody looks 2^64 times")
    }
}
