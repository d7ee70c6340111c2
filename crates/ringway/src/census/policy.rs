//! What follows from the census, as a state machine: what it says and the time go in, what this member should do comes out.
//!
//! ```text
//!            listed for `settle`               off in the list
//!   Unsure ──────────────────────▶ Well ◀──────────────────────▶ Off
//!     ▲                             │     well there for 5 s       │
//!     └──── away, or this member is not in its list: what was, stays ─┘
//! ```
//!
//! A list that lacks this member is being rebuilt, for whoever reads it is entered. So nothing is believed of it, nor for `settle` after
//! this member is back in it: the others come back one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use ringway_core::ring::Weight;
use ringway_core::timing::Now;
use ringway_engine::census::{Absent, List, Reason, Standing};

/// Whoever is off must be well again for so long before it gets work: what flaps would move slots each time.
const RECOVERY: Duration = Duration::from_secs(5);

/// What this member's node should do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wish {
    /// What it does.
    Nothing,
    /// Have no work.
    Rest(Reason),
    /// Have work again, with another weight if one was set meanwhile.
    Wake,
    /// Have this weight.
    Weigh(Weight),
}

/// What is wrong with the census, in words.
pub(super) type Trouble = String;

/// What one member makes of the census.
#[derive(Debug)]
pub(super) struct Policy {
    me: String,
    settle: Duration,
    /// Since when this member is in the list, without a gap.
    listed: Option<Now>,
    /// Why it is to have no work.
    off: Option<Reason>,
    /// Since when the list has it well though it is off here.
    well: Option<Now>,
    /// The weight that the list last said.
    weight: Weight,
    /// It has not been given yet.
    is_new_weight: bool,
    /// Who has been in the list since it is believed.
    seen: BTreeSet<String>,
    gone: BTreeSet<String>,
    trouble: Option<Trouble>,
}

impl Policy {
    /// Of a member that enters with this weight.
    pub(super) fn new(me: &str, weight: Weight, settle: Duration) -> Self {
        Self {
            me: me.to_owned(),
            settle,
            listed: None,
            off: None,
            well: None,
            weight,
            is_new_weight: false,
            seen: BTreeSet::new(),
            gone: BTreeSet::new(),
            trouble: None,
        }
    }

    /// The census has said something, or does not answer.
    pub(super) fn hear(&mut self, now: Now, heard: Result<&List, &Absent>) {
        let list = match heard {
            Ok(list) => list,
            Err(why) => return self.doubt(format!("the census is away, and moves nobody meanwhile: {why}")),
        };
        let Some(standing) = list.standing(&self.me) else {
            return self.doubt("the census does not list this member, so nothing in it is believed".to_owned());
        };
        if list.is_protected {
            self.trouble = Some(
                "the census says of all members that they are well because too few of them are (its protection threshold), so nothing in it is believed"
                    .to_owned(),
            );
            return;
        }
        self.trouble = None;
        let listed = *self.listed.get_or_insert(now);
        if now < listed + self.settle {
            return;
        }
        self.follow(now, standing);
        self.look_for_gone(list);
    }

    /// Nothing is known. What followed before stays as it is.
    fn doubt(&mut self, why: Trouble) {
        (self.listed, self.well, self.trouble) = (None, None, Some(why));
        self.seen.clear();
        self.gone.clear();
    }

    fn follow(&mut self, now: Now, standing: Standing) {
        match standing {
            Standing::Off(reason) => (self.off, self.well) = (Some(reason), None),
            Standing::Well { weight } => {
                if now >= *self.well.get_or_insert(now) + RECOVERY {
                    self.off = None;
                }
                let weight = weight_of(weight);
                self.is_new_weight |= weight != self.weight;
                self.weight = weight;
            }
        }
    }

    fn look_for_gone(&mut self, list: &List) {
        let listed: BTreeSet<String> = list.members.iter().map(|listed| listed.id.clone()).collect();
        self.seen.extend(listed.iter().cloned());
        self.gone = self.seen.difference(&listed).cloned().collect();
    }

    /// What this member's node should do. `rests`: it rests because of an earlier wish.
    pub(super) fn wish(&self, rests: bool) -> Wish {
        match (self.off, rests) {
            (Some(reason), _) => Wish::Rest(reason),
            (None, true) => Wish::Wake,
            (None, false) if self.is_new_weight => Wish::Weigh(self.weight),
            (None, false) => Wish::Nothing,
        }
    }

    /// The weight that was set since this member last had one from the census.
    pub(super) fn new_weight(&self) -> Option<Weight> {
        self.is_new_weight.then_some(self.weight)
    }

    /// The weight was given. Whatever it is given otherwise stands until the census says another one.
    pub(super) fn weighed(&mut self) {
        self.is_new_weight = false;
    }

    /// Members that were listed, and are no longer.
    pub(super) fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }

    /// What is wrong with the census.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// This member is in the list.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.is_some()
    }
}

/// The nearest weight that a node can have: the least is no rest, and the greatest is likelier a slip than a wish.
fn weight_of(number: f64) -> Weight {
    let thousandths = (number * 1000.0).round().clamp(1.0, f64::from(Weight::MAX.thousandths()));
    Weight::from_thousandths(thousandths as u32).unwrap_or(Weight::ONE)
}

#[cfg(test)]
mod tests;
