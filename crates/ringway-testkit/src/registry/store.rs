//! A store of keys outside that keeps the registry, in memory: with delays, losses and outages, as a test wants them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringway_core::registry::store::Keys;
use ringway_core::registry::{FromStore, ToStore};
use ringway_core::ring::{HashKey, SlotCount};
use ringway_core::view::View;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Length of each of a member's two channels. Requests wait no longer than the store takes to look at them, and are then under way;
/// answers wait for the member's next turn.
const QUEUE: usize = 64;

/// What goes wrong between a member and the store.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Time that a request takes, and an answer again.
    pub way: Range<Duration>,
    /// So many of a thousand requests get lost.
    pub lost_requests: u32,
    /// So many of a thousand answers, and of views that are told.
    pub lost_answers: u32,
    /// Nobody reaches the store.
    pub away: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self { way: Duration::ZERO..Duration::from_millis(1), lost_requests: 0, lost_answers: 0, away: false }
    }
}

impl Faults {
    fn draw(&self) -> Duration {
        if self.way.is_empty() { self.way.start } else { rand::random_range(self.way.clone()) }
    }
}

/// A member's ends of its two channels: requests go out, answers and views come in.
#[derive(Debug)]
pub struct Connection {
    /// Requests.
    pub requests: mpsc::Sender<ToStore>,
    /// Answers, and views that were written.
    pub told: mpsc::Receiver<FromStore>,
}

/// The store. Clones are the same one; it runs on Tokio's clock, which a test may pause.
#[derive(Debug, Clone)]
pub struct Store(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    keys: Keys,
    faults: Faults,
    members: Vec<mpsc::Sender<FromStore>>,
}

impl Store {
    /// A store with the view of a cluster that was just born.
    pub fn new(slots: SlotCount) -> Self {
        let view = Arc::new(View::born(HashKey::from_bytes(rand::random()), slots));
        let (faults, members) = (Faults::default(), Vec::new());
        Self(Arc::new(Mutex::new(Inside { keys: Keys::with(view), faults, members })))
    }

    /// The view.
    ///
    /// # Panics
    /// If it has none.
    pub fn view(&self) -> Arc<View> {
        self.with(|inside| inside.keys.view().expect("it was born with one").clone())
    }

    /// From now on these go wrong.
    pub fn set(&self, faults: Faults) {
        self.with(|inside| inside.faults = faults);
    }

    /// What it has now, to go back to.
    pub fn state(&self) -> Keys {
        self.with(|inside| inside.keys.clone())
    }

    /// Ends, and begins another life with what it has.
    pub fn restart(&self) {
        self.with(|inside| inside.keys.restart());
    }

    /// Ends, and begins another life with what it had.
    pub fn go_back(&self, to: Keys) {
        self.with(|inside| inside.keys.go_back(to));
    }

    /// Connects a member, through all its lives. Needs a running Tokio runtime.
    pub fn connect(&self) -> Connection {
        let (requests, mut asked) = mpsc::channel::<ToStore>(QUEUE);
        let (answers, told) = mpsc::channel(QUEUE);
        self.with(|inside| inside.members.push(answers.clone()));
        let store = self.clone();
        tokio::spawn(async move {
            while let Some(asked) = asked.recv().await {
                tokio::spawn(store.clone().carry_out(asked, answers.clone()));
            }
        });
        Connection { requests, told }
    }

    async fn carry_out(self, asked: ToStore, answers: mpsc::Sender<FromStore>) {
        sleep(self.with(|inside| inside.faults.draw())).await;
        if !self.gets_through(|faults| faults.lost_requests) {
            return;
        }
        let (answer, news) = self.with(|inside| {
            let epoch = |keys: &Keys| keys.view().map(|view| view.epoch);
            let before = epoch(&inside.keys);
            let answer = inside.keys.handle(asked.request);
            let news = epoch(&inside.keys).filter(|epoch| Some(*epoch) > before);
            (answer, news.map(|epoch| (epoch, inside.members.clone())))
        });
        if let Some((epoch, members)) = news {
            for member in members {
                tokio::spawn(self.clone().tell(member, FromStore::Notice(epoch)));
            }
        }
        self.tell(answers, FromStore::Answer(asked.from, answer)).await;
    }

    /// Who takes nothing loses it.
    async fn tell(self, member: mpsc::Sender<FromStore>, told: FromStore) {
        sleep(self.with(|inside| inside.faults.draw())).await;
        if self.gets_through(|faults| faults.lost_answers) {
            let _full_or_gone = member.try_send(told);
        }
    }

    fn gets_through(&self, lost: fn(&Faults) -> u32) -> bool {
        self.with(|inside| !inside.faults.away && rand::random_range(0..1000) >= lost(&inside.faults))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> T {
        // A test that panics elsewhere has its own story to tell.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
