//! Requests to what is outside the cluster, carried out side by side.

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

/// Carries requests out, so many at once, until nobody asks any more. One may come to no answer.
///
/// All are in one task. What comes together from outside, as the records of one sync do, then wakes this task once, and the
/// one that waits for the answers once; a task for each request would cost two wake-ups for each, which is most of what a record costs.
pub async fn carry<R, A, F>(
    at_once: usize,
    mut asked: mpsc::Receiver<R>,
    answers: mpsc::Sender<A>,
    carry_out: impl Fn(R) -> F,
) where
    F: Future<Output = Option<A>>,
{
    let (mut under_way, mut requests, mut come) = (FuturesUnordered::new(), Vec::new(), Vec::new());
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        let room = at_once - under_way.len();
        tokio::select! {
            Some(first) = under_way.next() => {
                come.push(first);
                while let Some(Some(next)) = under_way.next().now_or_never() {
                    come.push(next);
                }
                for answer in come.drain(..).flatten() {
                    if answers.send(answer).await.is_err() {
                        return;
                    }
                }
            }
            count = asked.recv_many(&mut requests, room), if is_open && room > 0 => {
                is_open = count > 0;
                under_way.extend(requests.drain(..).map(&carry_out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn all_are_carried_out_and_no_more_at_once_than_may_be() {
        let (ask, asked) = mpsc::channel(64);
        let (answers, mut told) = mpsc::channel(64);
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (busy, most.clone());
        tokio::spawn(carry(4, asked, answers, move |request: u32| {
            let (busy, most) = counts.clone();
            async move {
                most.fetch_max(busy.fetch_add(1, Relaxed) + 1, Relaxed);
                tokio::task::yield_now().await;
                busy.fetch_sub(1, Relaxed);
                (!request.is_multiple_of(3)).then_some(request)
            }
        }));
        for request in 0..50 {
            ask.send(request).await.unwrap();
        }
        // What is under way when nobody asks any more is answered all the same.
        drop(ask);
        let mut all = Vec::new();
        while let Some(answer) = told.recv().await {
            all.push(answer);
        }
        all.sort_unstable();
        assert_eq!(all, (0..50).filter(|request| request % 3 != 0).collect::<Vec<_>>());
        assert_eq!(most.load(Relaxed), 4);
    }
}
