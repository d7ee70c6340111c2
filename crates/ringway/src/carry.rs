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
