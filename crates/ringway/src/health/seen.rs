//! Since when what has been amiss. Only what lasts is told.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

use ringway_core::timing::Now;
use ringway_core::{MemberId, Slot};

use super::cause::Cause;
use super::expected::Expected;
use super::look::Look;
use super::reasons::{Reason, listed, reasons};
use super::{GRACE, Status};

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) why: Vec<Reason>,
    /// When what lasts began; `None` while it is well, and before it is known.
    pub(super) since: Option<Now>,
}

impl Verdict {
    /// With that of another member of the process: the worst of both. What both say is said once, and what only the other says names it.
    pub(super) fn and(mut self, id: &MemberId, other: Self) -> Self {
        let is_new = |reason: &Reason| self.why.iter().all(|said| said.sentence != reason.sentence);
        let named = |Reason { kind, sentence }| Reason { kind, sentence: format!("{id}: {sentence}") };
        let new: Vec<Reason> = other.why.into_iter().filter(is_new).map(named).collect();
        self.why.extend(new);
        self.status = self.status.max(other.status);
        self.since = self.since.into_iter().chain(other.since).min();
        self
    }
}

/// A status is left for a better one when nothing of its kind was seen for so long. One cause often makes room for the next: the
/// owner of a slot is lost, then another one takes it over, then it has no second copy.
const CALM: Duration = Duration::from_secs(1);

/// What helps where there is no node.
const NODELESS: &str = "nobody can be sent anything until one joins. Start one (`ringway node --join …`)";

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Everybody expected was there once.
    started: bool,
    /// One entry per slot while some slot has no reachable owner: since when this one has none. Empty otherwise.
    ownerless: Vec<Option<Now>>,
    since: BTreeMap<Cause, Now>,
    /// What was said last, and when it was last found to be so.
    held: Option<(Verdict, Now)>,
}

impl Seen {
    /// Takes a look in, and says how it is.
    pub(super) fn verdict(&mut self, look: &Look<'_>, expected: Expected) -> Verdict {
        self.take(look);
        let missing = if self.started { None } else { expected.missing(look.state) };
        self.started |= missing.is_none();
        if let Some(missing) = missing {
            let reason = |sentence| Reason { kind: discriminant(&Cause::Outside), sentence };
            let troubles = look.state.troubles.iter().map(ToString::to_string);
            let why = std::iter::once(missing).chain(troubles).map(reason).collect();
            return Verdict { status: Status::Starting, why, since: None };
        }
        let before = self.held.as_ref().map_or(Status::Ok, |(held, _)| held.status);
        let found = self.find(look, before);
        match &self.held {
            Some((held, at)) if found.status < held.status && look.now < *at + CALM => held.clone(),
            _ => {
                self.held = Some((found.clone(), look.now));
                found
            }
        }
    }

    /// What lasts, and whatever else would be as bad as it was `before`.
    fn find(&self, look: &Look<'_>, before: Status) -> Verdict {
        let counts = |(cause, since): (&Cause, &Now)| {
            let lasts = look.now >= *since + cause.grace();
            (lasts || cause.status() <= before).then_some(*cause)
        };
        let mut causes: Vec<Cause> = self.since.iter().filter_map(counts).collect();
        let ownerless = self.without_owner(look, if before == Status::Failing { Duration::ZERO } else { GRACE });
        causes.extend(ownerless.as_ref().map(|_| Cause::NoOwner));
        causes.sort_unstable();
        let status = causes.iter().map(|cause| cause.status()).max().unwrap_or(Status::Ok);
        let began = causes.iter().filter_map(|cause| self.since.get(cause)).chain(self.ownerless.iter().flatten());
        let since = (status != Status::Ok).then(|| began.min().copied()).flatten();
        Verdict { status, why: reasons(&causes, look, ownerless.as_deref()), since }
    }

    fn take(&mut self, look: &Look<'_>) {
        let causes = look.causes();
        self.since.retain(|cause, _| causes.contains(cause));
        for cause in causes {
            self.since.entry(cause).or_insert(look.now);
        }
        self.follow_slots(look);
    }

    /// Slot by slot only while somebody is missing, so a healthy cluster costs a look at its nodes.
    fn follow_slots(&mut self, look: &Look<'_>) {
        let mut owners = look.owners().peekable();
        if owners.peek().is_some() && owners.all(|node| look.is_reached(node)) {
            self.ownerless.clear();
            return;
        }
        let slots = look.state.view.slots;
        self.ownerless.resize(slots.get() as usize, None);
        for (slot, since) in slots.slots().zip(&mut self.ownerless) {
            match look.is_owned(slot) {
                true => *since = None,
                false => *since = Some(since.unwrap_or(look.now)),
            }
        }
    }

    /// Slots that have had no owner for this long, in words.
    fn without_owner(&self, look: &Look<'_>, grace: Duration) -> Option<String> {
        let slots = self.ownerless.iter().zip(look.state.view.slots.slots());
        let late = slots.filter(|(since, _)| since.is_some_and(|since| look.now >= since + grace));
        let mut owners: BTreeMap<String, u64> = BTreeMap::new();
        for (_, slot) in late {
            *owners.entry(owner_name(look, slot)).or_default() += 1;
        }
        if owners.is_empty() {
            return None;
        }
        if look.owners().next().is_none() {
            return Some(format!("there is no node: {NODELESS}"));
        }
        let total: u64 = owners.values().sum();
        let owners: Vec<(String, u64)> = owners.into_iter().collect();
        Some(format!("{total} slots have no owner that is reached: {}", listed(&owners)))
    }
}

fn owner_name(look: &Look<'_>, slot: Slot) -> String {
    let owner = look.state.placement.owner(slot).and_then(|owner| look.state.view.node(owner));
    owner.map_or_else(|| "no node".to_owned(), |node| node.id.to_string())
}
