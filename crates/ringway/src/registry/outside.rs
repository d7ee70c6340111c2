//! A registry in a store outside the cluster: the clerk of this life, and the two channels to whoever speaks to the store.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::message::{RegistryAnswer, RegistryRequest};
use ringway_core::registry::clerk::{Clerk, Output};
use ringway_core::registry::store::{Said, StoreAnswer, StoreOp, StoreRequest};
use ringway_core::registry::{FromStore, ToStore};
use ringway_core::timing::{Now, Timing};
use ringway_core::view::View;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

/// The way to a store outside: whoever speaks to it has the other ends. Channels have the length that their maker gives them; a member
/// has a handful of requests under way, and takes all that has come in a turn.
#[derive(Debug)]
pub struct Way {
    /// Requests on their way out. What finds it full is not sent, and counts as unanswered.
    pub requests: mpsc::Sender<ToStore>,
    /// What came back. While it is full its sender waits, or drops: answers may be lost.
    pub told: mpsc::Receiver<FromStore>,
}

/// The registry as a member has it from there.
#[derive(Debug)]
pub struct Outside {
    way: Way,
    /// Of this life.
    clerk: Option<(Incarnation, Clerk)>,
}

/// What the member task has to do.
#[derive(Debug)]
pub enum Heard {
    /// The registry's answer to the rules.
    Answer(RegistryAnswer),
    /// A newer view.
    View(Arc<View>),
    /// This is to go to a linked member, which passes it on.
    Relay(Incarnation, StoreRequest),
}

impl Outside {
    pub(super) fn new(way: Way) -> Self {
        Self { way, clerk: None }
    }

    pub(super) fn begin_life(&mut self, now: Now, me: Incarnation, view: &Arc<View>, timing: Timing) {
        self.clerk = Some((me, Clerk::new(now, me, view.clone(), timing)));
    }

    pub(super) fn ask(&mut self, now: Now, request: RegistryRequest) {
        self.with(|clerk| clerk.ask(now, request));
    }

    pub(super) fn tick(&mut self, now: Now, hears: impl Fn(Incarnation) -> bool) {
        self.with(|clerk| clerk.tick(now, hears));
    }

    pub(super) fn on_view(&mut self, view: &Arc<View>) {
        self.with(|clerk| clerk.on_view(view));
    }

    pub(super) fn on_relayed(&mut self, now: Now, by: Incarnation, answer: StoreAnswer) {
        self.with(|clerk| clerk.on_relayed(now, by, answer));
    }

    /// What came from the store. An answer for another life goes back to whoever asked, if it is one that asked through this member.
    pub(super) fn on_told(&mut self, now: Now, told: FromStore) -> Option<(Incarnation, StoreAnswer)> {
        match (told, &mut self.clerk) {
            (FromStore::Answer(from, answer), Some((me, clerk))) if from == *me => clerk.on_answer(now, answer),
            (FromStore::Answer(from, answer), _) => return Some((from, answer)),
            (FromStore::Notice(epoch), Some((_, clerk))) => clerk.on_notice(now, epoch),
            (FromStore::Notice(_), None) => {}
        }
        None
    }

    pub(super) fn is_relayed(&self) -> bool {
        self.clerk.as_ref().is_some_and(|(_, clerk)| clerk.is_relayed())
    }

    fn with(&mut self, act: impl FnOnce(&mut Clerk)) {
        if let Some((_, clerk)) = &mut self.clerk {
            act(clerk);
        }
    }

    /// Sends what the clerk wants sent, and says what else it wants done.
    pub(super) fn next_heard(&mut self) -> Option<Heard> {
        loop {
            let (me, output) = {
                let (me, clerk) = self.clerk.as_mut()?;
                (*me, clerk.next_output()?)
            };
            match output {
                Output::Ask(request) => self.pass_on(me, request),
                Output::Relay(to, request) => return Some(Heard::Relay(to, request)),
                Output::Answer(answer) => return Some(Heard::Answer(answer)),
                Output::View(view) => return Some(Heard::View(view)),
                Output::WentBack { found: Some(found), known } if found == known => {
                    warn!(epoch = %known, "the store of the registry was started again; the view is written to it anew, in case that changes were lost with it");
                }
                Output::WentBack { found, known } => {
                    let found = found.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
                    error!(%found, %known, "the store of the registry has lost changes of the members: it has an older view than this member; the newer one is written again. See to it that the store keeps what it has acknowledged");
                }
                Output::Foreign(view) => {
                    error!(birth = %view.birth(), "the store of the registry holds the view of another cluster, which is not obeyed. No member can join, leave or be replaced. Give each cluster a store, or a name, of its own");
                }
            }
        }
    }

    /// A request of this life, or of a member that asks through this one.
    pub(super) fn pass_on(&self, from: Incarnation, request: StoreRequest) {
        if self.way.requests.try_send(ToStore { from, request }).is_err() {
            debug!("a request to the registry's store was not sent: too many wait, or nobody takes them any more");
        }
    }

    pub(super) async fn told(&mut self) -> Option<FromStore> {
        self.way.told.recv().await
    }
}

impl Way {
    /// The view to begin with, asked for until it comes. A store without one gets `born`, unless another process is first. `None`: nobody
    /// speaks to the store any more.
    pub async fn first_view(&mut self, me: Incarnation, born: &Arc<View>, again: Duration) -> Option<Arc<View>> {
        let mut op = StoreOp::ReadView;
        loop {
            // No clerk gives a request this number.
            let request = StoreRequest { id: 0, op: op.clone() };
            self.requests.send(ToStore { from: me, request }).await.ok()?;
            op = match tokio::time::timeout(again, self.answer_to(me)).await {
                Ok(None) => return None,
                Ok(Some((_, Said::View(Some(stored))))) => return Some(stored.view),
                Ok(Some((life, Said::View(None)))) => StoreOp::WriteView { at: None, view: born.clone(), life },
                // It was written, or somebody else's was, or that is not known.
                Ok(Some(_)) | Err(_) => StoreOp::ReadView,
            };
        }
    }

    async fn answer_to(&mut self, me: Incarnation) -> Option<(u64, Said)> {
        loop {
            if let FromStore::Answer(to, answer) = self.told.recv().await?
                && to == me
            {
                return Some((answer.life, answer.said));
            }
        }
    }
}
