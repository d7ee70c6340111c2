//! Requests to what is outside the cluster, carried out side by side.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

/// Carries requests out, each in a task of its own and so many at once, until nobody asks any more. One may come to no answer.
pub async fn carry<R, A, F>(
    at_once: usize,
    mut asked: mpsc::Receiver<R>,
    answers: mpsc::Sender<A>,
    carry_out: impl Fn(R) -> F,
) where
    A: Send + 'static,
    F: Future<Output = Option<A>> + Send + 'static,
{
    let under_way = Arc::new(Semaphore::new(at_once));
    while let Some(request) = asked.recv().await {
        let Ok(place) = under_way.clone().acquire_owned().await else { return };
        let (answer, answers) = (carry_out(request), answers.clone());
        tokio::spawn(async move {
            let _place = place;
            if let Some(answer) = answer.await {
                let _ended = answers.send(answer).await;
            }
        });
    }
}
