//! A member's side of a registry outside: what it asks of the registry, as requests to a store of keys with revisions.
//!
//! ```text
//!  membership ──RegistryRequest──▶ clerk ──StoreRequest──▶ the store, or a linked member that reaches it
//!             ◀─RegistryAnswer───        ◀─StoreAnswer────
//! ```
//!
//! A lease is a key whose revision moves. Its holder writes it again and again, each time at the revision of the time before, so a write
//! fails once somebody has ended the lease. Whoever suspects the holder watches the revision by its own clock, and ends the lease at the
//! revision that it saw. So no clock is compared with another, the store counts no time, and a list that is old does no harm: the lease
//! ends only if it is still where the list had it.
//!
//! | rule | says |
//! |---|---|
//! | G1 | The leases of all whom a view leaves out are ended before that view is written. Who is not in the view renews nothing |
//! | G2 | With proof of a death nothing is waited for; only the order of G1 is kept |
//! | G4 | A member that does not reach the store asks through one that it hears |
//! | G5 | Who has heard most of the others for a while, those without a lease aside, knows the newest view there is. A view in the store that is older than one that is known here, or that was written in an earlier life of the store, is written again by such a member before anything else, with an epoch that nobody has had |

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::store::{Revision, Said, StoreAnswer, StoreOp, StoreRequest, Stored};
use crate::id::{Epoch, Incarnation};
use crate::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use crate::relay::Relay;
use crate::timing::{Now, Timing};
use crate::view::View;

/// At least so many epochs are left out when a view is written again to a store that has lost some: more than it can have lost. At most
/// it is twice as many.
const JUMP: u64 = 1 << 20;

/// Writes of a lease for one renewal, where writes of before turn out to have been carried out.
const RENEWALS: u8 = 3;

/// What the clerk wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this to the store.
    Ask(StoreRequest),
    /// Send this to a member that is linked, which passes it on to the store.
    Relay(Incarnation, StoreRequest),
    /// Answer the rules of membership.
    Answer(RegistryAnswer),
    /// The store has a newer view.
    View(Arc<View>),
    /// The store has an older view than was written, or none, or has begun another life, in which the newest may be lost. The view is
    /// written again.
    WentBack {
        /// The epoch that it has.
        found: Option<Epoch>,
        /// The epoch that is known here.
        known: Epoch,
    },
    /// The store has the view of another cluster. Said once.
    Foreign(Arc<View>),
}

/// What a request to the store is for. The number is that of the request to the registry.
#[derive(Debug)]
enum Task {
    /// To see whether my key is there, before it is put.
    Put(u64),
    /// My key.
    Place(u64, u64),
    Renew {
        id: u64,
        count: u64,
        tries: u8,
    },
    /// Whether it was a write of mine that moved my key.
    Check(u64, u8),
    /// The lease of somebody whom a view leaves out.
    End(u64),
    /// The view of a draft, in this life of the store.
    Write(u64, u64),
    /// What the store has, before a view is written or after it was not.
    Settle(u64),
    Read(u64),
    /// All leases, for whoever asks, or to know when they move.
    Look(Option<u64>),
    /// The lease of somebody who has not moved it, or has none.
    Convict(u64, Incarnation),
    /// The view, for nobody in particular.
    Watch,
    /// G5: whose leases there are.
    Survey,
    /// The lease of somebody whom the view of this mending leaves out.
    Evict(u64),
    /// The view, in this life of the store.
    Mend(Arc<View>, u64),
}

#[derive(Debug)]
struct Job {
    task: Task,
    sent: Now,
    /// The newest epoch that was known then.
    known: Epoch,
}

/// A view that is to be written.
#[derive(Debug)]
struct Draft {
    view: Arc<View>,
    /// The revision of the view that it follows, once that is known.
    at: Option<Revision>,
    /// Leases still to be ended.
    ends: usize,
    was_sent: bool,
    was_read_for: bool,
}

/// A view that is to be written again.
#[derive(Debug)]
struct Mending {
    number: u64,
    view: Arc<View>,
    /// What is in its place.
    at: Option<Revision>,
    /// Who was in it, or in the one that was known here.
    before: BTreeSet<Incarnation>,
    /// Leases still to be ended.
    ends: usize,
}

/// Leases that are being ended for one question.
#[derive(Debug, Default)]
struct Trial {
    open: usize,
    lapsed: Vec<Incarnation>,
}

/// A lease as it was seen last.
#[derive(Debug)]
struct Watched {
    revision: Option<Revision>,
    /// When it was seen so first.
    since: Now,
}

/// My lease, as far as writes of it were answered.
#[derive(Debug, Clone, Copy)]
struct Held {
    revision: Revision,
    count: u64,
}

/// One life's requests to a registry outside.
#[derive(Debug)]
pub struct Clerk {
    me: Incarnation,
    timing: Timing,
    /// The newest view that is known, and who else is in it.
    view: Arc<View>,
    others: BTreeSet<Incarnation>,
    /// The view that the store had when it was last read or written.
    stored: Option<Stored>,
    held: Option<Held>,
    count: u64,
    watched: BTreeMap<Incarnation, Watched>,
    /// When the last look that was answered was sent.
    looked: Now,
    next_look: Now,
    next_read: Now,
    jobs: BTreeMap<u64, Job>,
    drafts: BTreeMap<u64, Draft>,
    mending: Option<Mending>,
    trials: BTreeMap<u64, Trial>,
    next: u64,
    /// The store's.
    life: Option<u64>,
    /// When the store itself answered last.
    answered: Now,
    relay: Relay,
    /// Since when most of the others that have a lease have been heard, without a break.
    in_company_since: Option<Now>,
    listened: Now,
    next_listening: Now,
    is_foreign_told: bool,
    outputs: VecDeque<Output>,
}

impl Clerk {
    /// Of a life that knows this view.
    pub fn new(now: Now, me: Incarnation, view: Arc<View>, timing: Timing) -> Self {
        let others = others(&view, me);
        Self {
            me,
            timing,
            view,
            others,
            stored: None,
            held: None,
            count: 0,
            watched: BTreeMap::new(),
            looked: now,
            next_look: now,
            next_read: now,
            jobs: BTreeMap::new(),
            drafts: BTreeMap::new(),
            mending: None,
            trials: BTreeMap::new(),
            next: 0,
            life: None,
            answered: now,
            relay: Relay::default(),
            in_company_since: None,
            listened: now,
            next_listening: now,
            is_foreign_told: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes what it wants done next.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A newer view was seen, wherever it came from.
    pub fn on_view(&mut self, view: &Arc<View>) {
        if view.follows(&self.view) {
            self.others = others(view, self.me);
            self.view = view.clone();
        }
    }

    /// Somebody has written a view of this epoch. It is read with the next tick.
    pub fn on_notice(&mut self, now: Now, epoch: Epoch) {
        if epoch > self.view.epoch {
            self.next_read = now;
        }
    }

    /// The rules of membership ask.
    pub fn ask(&mut self, now: Now, request: RegistryRequest) {
        let RegistryRequest { id, op } = request;
        match op {
            RegistryOp::Put(_) => self.send(now, StoreOp::ReadLease(self.me), Task::Put(id)),
            RegistryOp::Renew(_) => self.renew(now, id, 0),
            RegistryOp::Cas(view) => self.draft(now, id, view),
            RegistryOp::Leases => self.look(now, Some(id)),
            RegistryOp::Read => self.send(now, StoreOp::ReadView, Task::Read(id)),
        }
    }

    /// Lets time pass. `hears` says of a member whether it was heard just now.
    pub fn tick(&mut self, now: Now, hears: impl Fn(Incarnation) -> bool) {
        self.expire(now);
        if now >= self.next_listening {
            self.next_listening = now + self.timing.ping;
            self.listen(now, &hears);
        }
        self.find_relay(now, hears);
        if now >= self.next_look {
            self.look(now, None);
        }
        if now >= self.next_read {
            self.next_read = now + self.timing.renew();
            self.send(now, StoreOp::ReadView, Task::Watch);
        }
    }

    /// The store itself answered.
    pub fn on_answer(&mut self, now: Now, answer: StoreAnswer) {
        self.answered = now;
        self.relay.end();
        self.take(now, answer);
    }

    /// The store answered a member that passed the request on.
    pub fn on_relayed(&mut self, now: Now, by: Incarnation, answer: StoreAnswer) {
        self.relay.passed(now, by);
        self.take(now, answer);
    }

    fn take(&mut self, now: Now, answer: StoreAnswer) {
        if self.life.replace(answer.life).is_some_and(|before| before != answer.life) {
            self.stored = None;
            self.mending = None;
            self.watched.clear();
            self.next_read = now;
        }
        let life = answer.life;
        let Some(Job { task, sent, known }) = self.jobs.remove(&answer.id) else { return };
        match (task, answer.said) {
            (Task::Put(id), Said::Lease(found)) => self.place(now, id, found),
            (Task::Place(id, count), said) => {
                if let Said::Written(revision) = said {
                    self.held = Some(Held { revision, count });
                }
                self.answer(id, matches!(said, Said::Written(_)));
            }
            (Task::Renew { id, count, .. }, Said::Written(revision)) => {
                self.held = Some(Held { revision, count });
                self.answer(id, true);
            }
            (Task::Renew { id, tries, .. }, _) => self.send(now, StoreOp::ReadLease(self.me), Task::Check(id, tries)),
            (Task::Check(id, tries), Said::Lease(found)) => self.check(now, id, tries, found),
            (Task::End(id), Said::Ended) => self.ended(now, id),
            // The revision meant something else in the life before, so this view may have an epoch that another one has. It is not obeyed, and
            // whoever reads it writes it again.
            (Task::Write(id, meant), Said::Written(_)) if meant != life => drop(self.drafts.remove(&id)),
            (Task::Write(id, _), Said::Written(revision)) => self.written(id, revision, life),
            (Task::Write(id, _), Said::Conflict) => self.send(now, StoreOp::ReadView, Task::Settle(id)),
            (Task::Settle(id), Said::View(found)) => {
                self.saw(now, found, known, life);
                self.settle(now, id);
            }
            (Task::Read(id), Said::View(found)) => {
                self.saw(now, found, known, life);
                self.answer(id, true);
            }
            (Task::Watch, Said::View(found)) => self.saw(now, found, known, life),
            (Task::Look(id), Said::Leases(leases)) => self.looked(now, sent, id, leases),
            (Task::Convict(id, member), said) => self.convicted(id, member, &said),
            (Task::Survey, Said::Leases(leases)) => self.evict(now, leases, life),
            (Task::Evict(number), Said::Ended) => self.evicted(now, number, life),
            (Task::Mend(view, meant), Said::Written(revision)) if meant == life => {
                self.mending = None;
                self.store(Stored { revision, life, view });
            }
            // Somebody else has written. The next read tells.
            (Task::Mend(..), _) => {
                self.mending = None;
                self.next_read = now;
            }
            // What is no answer to that counts as none.
            _ => {}
        }
    }

    fn answer(&mut self, id: u64, done: bool) {
        self.answer_lapsed(id, done, Vec::new());
    }

    fn answer_lapsed(&mut self, id: u64, done: bool, lapsed: Vec<Incarnation>) {
        self.outputs.push_back(Output::Answer(RegistryAnswer { id, done, view: self.view.clone(), lapsed }));
    }

    fn send(&mut self, now: Now, op: StoreOp, task: Task) {
        self.next += 1;
        let request = StoreRequest { id: self.next, op };
        // Whether the store can be reached again shows only to who asks it.
        let relay = self.relay.current().filter(|_| !matches!(task, Task::Watch));
        self.jobs.insert(self.next, Job { task, sent: now, known: self.view.epoch });
        self.outputs.push_back(match relay {
            Some(relay) => Output::Relay(relay, request),
            None => Output::Ask(request),
        });
    }

    /// What has no answer after the length of a lease gets none: whoever asked has long given up.
    fn expire(&mut self, now: Now) {
        let limit = self.timing.ttl;
        let late = self.jobs.extract_if(.., |_, job| now >= job.sent + limit).map(|(_, job)| job.task);
        for task in late.collect::<Vec<_>>() {
            match task {
                Task::End(id) | Task::Write(id, _) | Task::Settle(id) => drop(self.drafts.remove(&id)),
                Task::Convict(id, _) => drop(self.trials.remove(&id)),
                Task::Survey | Task::Evict(_) | Task::Mend(..) => self.mending = None,
                _ => {}
            }
        }
    }

    /// Looks whether most of those who live are heard. Whoever stood still may have missed what all others know.
    fn listen(&mut self, now: Now, hears: impl Fn(Incarnation) -> bool) {
        // While nobody reaches the store nobody has a lease to show.
        let looks = now <= self.looked + self.timing.ttl / 2;
        let is_gone = |member: &Incarnation| {
            let watched = self.watched.get(member).filter(|_| looks);
            watched.is_some_and(|one| one.revision.is_none() && now >= one.since + self.timing.ttl)
        };
        let (mut living, mut heard) = (0, 0);
        for member in self.others.iter().filter(|member| !is_gone(member)) {
            living += 1;
            heard += usize::from(hears(*member));
        }
        let slept = now > self.listened + self.timing.silent();
        self.listened = now;
        if slept || heard * 2 < living {
            self.in_company_since = None;
        }
        if heard * 2 >= living {
            self.in_company_since.get_or_insert(now);
        }
    }

    /// The view that is known here is the newest that anybody knows who lives: a newer one comes ahead of whatever else a member says.
    fn knows_the_newest_view(&self, now: Now) -> bool {
        self.in_company_since.is_some_and(|since| now >= since + self.timing.suspect)
    }

    /// G4: where the store itself has not answered for a while, somebody else is asked.
    fn find_relay(&mut self, now: Now, hears: impl Fn(Incarnation) -> bool) {
        if now <= self.answered + self.timing.ttl / 2 {
            return self.relay.end();
        }
        self.relay.choose(now, self.timing.registry_timeout(), (self.me, &self.others), hears);
    }

    /// Another member passes on what is asked of the store.
    pub fn is_relayed(&self) -> bool {
        self.relay.current().is_some()
    }

    fn place(&mut self, now: Now, id: u64, found: Option<(Revision, u64)>) {
        self.count += 1;
        let (at, count) = (found.map(|(revision, _)| revision), self.count);
        self.send(now, StoreOp::WriteLease { of: self.me, at, count }, Task::Place(id, count));
    }

    fn renew(&mut self, now: Now, id: u64, tries: u8) {
        let Some(held) = self.held else { return self.answer(id, false) };
        self.count += 1;
        let (at, count) = (Some(held.revision), self.count);
        self.send(now, StoreOp::WriteLease { of: self.me, at, count }, Task::Renew { id, count, tries: tries + 1 });
    }

    /// My key has moved. A write of mine that was not answered may have done it: it was made at the revision that I know, so nobody has
    /// ended the lease before it. A key that was put counts no more than what I know, and shows nothing: it is put where there is none.
    fn check(&mut self, now: Now, id: u64, tries: u8, found: Option<(Revision, u64)>) {
        let is_mine = |(revision, count): &(Revision, u64)| {
            self.held.is_some_and(|held| held.revision == *revision || held.count < *count)
        };
        match found.filter(is_mine) {
            Some((revision, count)) if tries < RENEWALS => {
                self.held = Some(Held { revision, count });
                self.renew(now, id, tries);
            }
            _ => {
                self.held = None;
                self.answer(id, false);
            }
        }
    }

    fn draft(&mut self, now: Now, id: u64, view: Arc<View>) {
        if self.view.accepts(&view).is_err() {
            return self.answer(id, false);
        }
        self.drafts.insert(id, Draft { view, at: None, ends: 0, was_sent: false, was_read_for: false });
        self.settle(now, id);
    }

    /// A view goes on its way if it follows what the store has. If not, the store is read once: whoever is refused is told the newest view.
    fn settle(&mut self, now: Now, id: u64) {
        let Some(draft) = self.drafts.get_mut(&id) else { return };
        if draft.was_sent {
            // It was refused, or somebody wrote before. Or it was carried out, and this is the answer to a request that came twice.
            let is_written = self.stored.as_ref().is_some_and(|stored| stored.view == draft.view);
            self.drafts.remove(&id);
            return self.answer(id, is_written);
        }
        let follows = |stored: &View| draft.view.epoch == stored.epoch.next();
        match &self.stored {
            Some(stored) if follows(&stored.view) => {
                draft.at = Some(stored.revision);
                let left_out =
                    stored.view.members().map(|(_, member, _)| member).filter(|member| !draft.view.has(*member));
                let ends: BTreeSet<Incarnation> = left_out.collect();
                draft.ends = ends.len();
                for of in ends {
                    self.send(now, StoreOp::EndLease { of, at: None }, Task::End(id));
                }
                self.write_if_ready(now, id);
            }
            _ if draft.was_read_for => self.refuse(id),
            _ => {
                draft.was_read_for = true;
                self.send(now, StoreOp::ReadView, Task::Settle(id));
            }
        }
    }

    fn refuse(&mut self, id: u64) {
        self.drafts.remove(&id);
        self.answer(id, false);
    }

    fn ended(&mut self, now: Now, id: u64) {
        if let Some(draft) = self.drafts.get_mut(&id) {
            draft.ends -= 1;
            self.write_if_ready(now, id);
        }
    }

    fn write_if_ready(&mut self, now: Now, id: u64) {
        let Some(draft) = self.drafts.get_mut(&id).filter(|draft| draft.ends == 0) else { return };
        // The revision may mean something else in another life of the store.
        let Some(stored) = self.stored.as_ref().filter(|stored| Some(stored.revision) == draft.at) else {
            return self.refuse(id);
        };
        draft.was_sent = true;
        let (at, view, life) = (draft.at, draft.view.clone(), stored.life);
        self.send(now, StoreOp::WriteView { at, view, life }, Task::Write(id, life));
    }

    fn written(&mut self, id: u64, revision: Revision, life: u64) {
        if let Some(draft) = self.drafts.remove(&id) {
            self.store(Stored { revision, life, view: draft.view });
            self.answer(id, true);
        }
    }

    /// The store has this view now.
    fn store(&mut self, new: Stored) {
        if new.view.follows(&self.view) {
            self.on_view(&new.view);
            self.outputs.push_back(Output::View(new.view.clone()));
        }
        if self.stored.as_ref().is_none_or(|stored| stored.view.epoch <= new.view.epoch) {
            self.stored = Some(new);
        }
    }

    /// The store had this view when it was asked, and `known` was known here.
    fn saw(&mut self, now: Now, found: Option<Stored>, known: Epoch, life: u64) {
        match found {
            Some(Stored { view, .. }) if self.view.accepts(&view).is_err() => {
                if !std::mem::replace(&mut self.is_foreign_told, true) {
                    self.outputs.push_back(Output::Foreign(view));
                }
            }
            Some(found) if found.view.epoch >= known && found.life == life => self.store(found),
            found => self.mend(now, found, life),
        }
    }

    /// G5. The epoch is above all that anybody can have seen, so no two views have one number. What was found is not obeyed as it is: it may
    /// have been written by a request that was under way when the store ended. As with any view, the leases of all whom it leaves out are
    /// ended first (G1), also of those that have come back with the store.
    fn mend(&mut self, now: Now, found: Option<Stored>, life: u64) {
        if self.mending.is_some() || !self.knows_the_newest_view(now) {
            return;
        }
        let (at, epoch) = (found.as_ref().map(|found| found.revision), found.as_ref().map(|found| found.view.epoch));
        self.outputs.push_back(Output::WentBack { found: epoch, known: self.view.epoch });
        let of = |view: &View| view.members().map(|(_, member, _)| member).collect::<Vec<_>>();
        let before = of(&self.view).into_iter().chain(found.iter().flat_map(|found| of(&found.view))).collect();
        let newest = found.map(|found| found.view).filter(|found| found.follows(&self.view));
        let newest = newest.unwrap_or_else(|| self.view.clone());
        let view = Arc::new(View { epoch: Epoch(newest.epoch.0 + jump(life)), ..(*newest).clone() });
        self.stored = None;
        self.mending = Some(Mending { number: self.next, view, at, before, ends: 0 });
        self.send(now, StoreOp::Leases, Task::Survey);
    }

    fn evict(&mut self, now: Now, leases: Vec<(Incarnation, Revision)>, life: u64) {
        let Some(mending) = &mut self.mending else { return };
        let holders = leases.into_iter().map(|(holder, _)| holder).chain(mending.before.iter().copied());
        let ends: BTreeSet<Incarnation> = holders.filter(|member| !mending.view.has(*member)).collect();
        mending.ends = ends.len() + 1;
        let number = mending.number;
        for of in ends {
            self.send(now, StoreOp::EndLease { of, at: None }, Task::Evict(number));
        }
        self.evicted(now, number, life);
    }

    fn evicted(&mut self, now: Now, number: u64, life: u64) {
        let Some(mending) = self.mending.as_mut().filter(|mending| mending.number == number) else { return };
        mending.ends = mending.ends.saturating_sub(1);
        if mending.ends == 0 {
            let (at, view) = (mending.at, mending.view.clone());
            self.send(now, StoreOp::WriteView { at, view: view.clone(), life }, Task::Mend(view, life));
        }
    }

    fn look(&mut self, now: Now, id: Option<u64>) {
        self.next_look = now + self.timing.renew();
        self.send(now, StoreOp::Leases, Task::Look(id));
    }

    /// A list may be old, and show a revision that has moved since. Whoever ends a lease names the revision, so that is found out.
    fn looked(&mut self, now: Now, sent: Now, id: Option<u64>, leases: Vec<(Incarnation, Revision)>) {
        let leases: BTreeMap<Incarnation, Revision> = leases.into_iter().collect();
        let view = self.view.clone();
        // One that is where it was has not moved meanwhile. One that is not there may have been.
        let gap = sent > self.looked + self.timing.ttl / 2;
        self.watched.retain(|member, watched| view.has(*member) && !(gap && watched.revision.is_none()));
        self.looked = self.looked.max(sent);
        for member in self.others.iter().copied() {
            let revision = leases.get(&member).copied();
            let watched = self.watched.entry(member).or_insert(Watched { revision, since: now });
            if watched.revision != revision {
                *watched = Watched { revision, since: now };
            }
        }
        if let Some(id) = id {
            self.try_those_who_stand_still(now, sent, id);
        }
    }

    fn try_those_who_stand_still(&mut self, now: Now, sent: Now, id: u64) {
        let still = self.watched.iter().filter(|(_, watched)| sent >= watched.since + self.timing.ttl);
        let still: Vec<_> = still.map(|(member, watched)| (*member, watched.revision)).collect();
        let mut trial = Trial::default();
        for (of, at) in still {
            trial.open += 1;
            // The list may be old.
            let op = if at.is_some() { StoreOp::EndLease { of, at } } else { StoreOp::ReadLease(of) };
            self.send(now, op, Task::Convict(id, of));
        }
        self.trials.insert(id, trial);
        self.judge(id);
    }

    fn convicted(&mut self, id: u64, member: Incarnation, said: &Said) {
        let has_ended = matches!(said, Said::Ended | Said::Lease(None));
        match self.watched.get_mut(&member) {
            Some(watched) if has_ended => watched.revision = None,
            // It has moved since the list was made.
            _ => drop(self.watched.remove(&member)),
        }
        if let Some(trial) = self.trials.get_mut(&id) {
            trial.open -= 1;
            trial.lapsed.extend(has_ended.then_some(member));
            self.judge(id);
        }
    }

    fn judge(&mut self, id: u64) {
        if self.trials.get(&id).is_some_and(|trial| trial.open == 0)
            && let Some(trial) = self.trials.remove(&id)
        {
            self.answer_lapsed(id, true, trial.lapsed);
        }
    }
}

fn others(view: &View, me: Incarnation) -> BTreeSet<Incarnation> {
    view.members().map(|(_, member, _)| member).filter(|member| *member != me).collect()
}

/// How many epochs are left out in this life of the store. In each it is another number: who did not hear of what was written again in one
/// life may write again in the next one what it knew before.
fn jump(life: u64) -> u64 {
    // Fibonacci hashing: lives may be counted.
    JUMP + (life.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44)
}

#[cfg(test)]
mod tests;
