//! Fetches the keys that issuers of tokens publish: from the addresses in the config and from nowhere else, one fetch of an address at a time. What was
//! fetched last stays while nothing better comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use ringway_http::Site;
use ringway_hub::KeySet;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// Bytes of a set: 64 keys with their certificates. A larger one is not taken.
const LARGEST_SET: usize = 256 << 10;

/// How often is fetched.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Where nobody asks for it: so a key that is withdrawn is good for so long.
    usual: Duration,
    /// At the most, where tokens name keys that are not there.
    least: Duration,
    /// After the first failure; with each further one twice as long, up to `slowest`.
    retry: Duration,
    slowest: Duration,
    /// A fetch that takes longer has failed.
    patience: Duration,
}

const PACE: Pace = Pace {
    usual: Duration::from_secs(600),
    least: Duration::from_secs(5),
    retry: Duration::from_secs(1),
    slowest: Duration::from_secs(30),
    patience: Duration::from_secs(5),
};

/// The fetching of all sets of a process. Clones share it.
#[derive(Debug, Clone)]
pub struct KeyFetch {
    sets: Arc<[Arc<KeySet>]>,
    counts: Arc<Counts>,
    /// One for each set: why its last fetch failed.
    troubles: watch::Receiver<Vec<Option<String>>>,
}

#[derive(Debug, Default)]
struct Counts {
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl KeyFetch {
    /// Begins to fetch, for as long as the process runs. Needs a running Tokio runtime where there are sets.
    pub fn begin(sets: Vec<Arc<KeySet>>) -> Self {
        Self::at(sets, PACE)
    }

    fn at(sets: Vec<Arc<KeySet>>, pace: Pace) -> Self {
        let (tell, troubles) = watch::channel(vec![None; sets.len()]);
        let (counts, tell) = (Arc::new(Counts::default()), Arc::new(tell));
        for (at, set) in sets.iter().enumerate() {
            let wanted = Arc::new(Notify::new());
            let wake = wanted.clone();
            set.on_want(move || wake.notify_one());
            let (set, counts, tell) = (set.clone(), counts.clone(), tell.clone());
            tokio::spawn(async move { Fetcher { at, set, counts, tell, wanted, pace }.run().await });
        }
        Self { sets: sets.into(), counts, troubles }
    }

    /// What is amiss, in one sentence; `None`: nothing is.
    pub fn trouble(&self) -> Option<String> {
        let troubles: Vec<String> = self.troubles.borrow().iter().flatten().cloned().collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Keys that there are now.
    pub fn keys(&self) -> u64 {
        self.sets.iter().map(|set| set.len() as u64).sum()
    }

    /// Fetches that brought keys, and those that failed.
    pub fn fetches(&self) -> (u64, u64) {
        (self.counts.fetched.load(Ordering::Relaxed), self.counts.failed.load(Ordering::Relaxed))
    }

    /// Whether anything is fetched at all.
    pub fn is_idle(&self) -> bool {
        self.sets.is_empty()
    }
}

/// What fetches one set.
struct Fetcher {
    at: usize,
    set: Arc<KeySet>,
    counts: Arc<Counts>,
    tell: Arc<watch::Sender<Vec<Option<String>>>>,
    wanted: Arc<Notify>,
    pace: Pace,
}

impl Fetcher {
    async fn run(self) {
        let mut retry = self.pace.retry;
        loop {
            match self.fetch().await {
                Ok(keys) => {
                    self.brought(keys);
                    retry = self.pace.retry;
                    sleep(self.pace.least).await;
                    tokio::select! {
                        () = self.wanted.notified() => {}
                        () = sleep(self.pace.usual.saturating_sub(self.pace.least)) => {}
                    }
                }
                Err(why) => {
                    self.failed(&why);
                    sleep(retry).await;
                    retry = (retry * 2).min(self.pace.slowest);
                }
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<usize> {
        let number = self.set.begin();
        let document = within(self.pace.patience, self.set.url()).await?;
        self.set.end(number, &document).context("what it answers is of no use")
    }

    fn brought(&self, keys: usize) {
        let is_first = self.counts.fetched.fetch_add(1, Ordering::Relaxed) == 0;
        let was_away = self.tell.borrow()[self.at].is_some();
        if was_away || is_first {
            info!(url = self.set.url(), keys, "the keys of tokens are fetched");
        }
        self.tell.send_if_modified(|troubles| troubles[self.at].take().is_some());
    }

    fn failed(&self, why: &anyhow::Error) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        let meanwhile = match self.set.is_empty() {
            true => "tokens that need them are answered with a temporary error, and their clients come again",
            false => "those that were fetched before are good meanwhile",
        };
        let trouble = format!("the keys of tokens cannot be fetched from {}: {why:#}; {meanwhile}", self.set.url());
        let is_news = self.tell.send_if_modified(|troubles| {
            let is_news = troubles[self.at].as_ref() != Some(&trouble);
            troubles[self.at] = Some(trouble.clone());
            is_news
        });
        if is_news {
            warn!("{trouble}");
        }
    }
}

/// Fetches the document at an address once.
///
/// # Errors
/// It does not answer, or not with a document.
pub(crate) async fn fetch(url: &str) -> anyhow::Result<Bytes> {
    within(PACE.patience, url).await
}

async fn within(patience: Duration, url: &str) -> anyhow::Result<Bytes> {
    timeout(patience, get(url)).await.with_context(|| format!("no answer within {patience:?}"))?
}

/// Where it is moved to somewhere else, nobody goes there.
async fn get(url: &str) -> anyhow::Result<Bytes> {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let site = Site::resolve(address, None).await?;
    let path = match (site.path(""), query) {
        (path, None) if path.is_empty() => "/".to_owned(),
        (path, None) => path,
        (path, Some(query)) => format!("{path}?{query}"),
    };
    let mut connection = site.open().await?.taking(LARGEST_SET);
    let answer = connection.request("GET".parse()?, &path, &[("accept", "application/json")], Bytes::new()).await?;
    match answer.status {
        200 => Ok(answer.body),
        status @ 300..400 => {
            bail!("it answers {status}: the keys are elsewhere, and only the address in the config is asked")
        }
        status => bail!("it answers {status}"),
    }
}

#[cfg(test)]
mod tests;
