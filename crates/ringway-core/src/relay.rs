//! The way round to what is outside the cluster: a member that does not reach the store, or the log, asks through one that it hears (G4).

use std::collections::BTreeSet;

use crate::id::Incarnation;
use crate::timing::Now;

/// Who passes on what this member asks, if it does not ask itself.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    /// And when it last did, or was chosen.
    current: Option<(Incarnation, Now)>,
}

impl Relay {
    /// Who passes it on.
    pub(crate) fn current(&self) -> Option<Incarnation> {
        self.current.map(|(relay, _)| relay)
    }

    /// What is asked answers by itself: it needs no way round.
    pub(crate) fn end(&mut self) {
        self.current = None;
    }

    /// An answer came through this member. Says whether it is the one that was chosen.
    pub(crate) fn passed(&mut self, now: Now, by: Incarnation) -> bool {
        let is_chosen = self.current() == Some(by);
        if is_chosen {
            self.current = Some((by, now));
        }
        is_chosen
    }

    /// Chooses somebody. One that passes nothing on for so long, or is not heard, is changed for the next one that is heard.
    pub(crate) fn choose(
        &mut self,
        now: Now,
        patience: Now,
        (me, others): (Incarnation, &BTreeSet<Incarnation>),
        hears: impl Fn(Incarnation) -> bool,
    ) {
        let before = match self.current {
            Some((relay, heard)) if now < heard + patience && hears(relay) => return,
            Some((relay, _)) => relay,
            None => me,
        };
        let next =
            |from: &dyn Fn(&Incarnation) -> bool| others.iter().copied().find(|member| from(member) && hears(*member));
        let relay = next(&|member| *member > before).or_else(|| next(&|member| *member <= before));
        self.current = relay.map(|relay| (relay, now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn those_who_are_heard_take_turns_as_long_as_nothing_comes_through_them() {
        let [me, one, two, three] = [1, 2, 3, 4].map(Incarnation);
        let others = BTreeSet::from([one, two, three]);
        let patience = Duration::from_millis(100);
        let mut relay = Relay::default();
        let choose = |relay: &mut Relay, now: u64, deaf: Incarnation| {
            relay.choose(Duration::from_millis(now), patience, (me, &others), |member| member != deaf);
            relay.current()
        };
        assert_eq!(choose(&mut relay, 0, me), Some(one));
        assert_eq!(choose(&mut relay, 99, me), Some(one), "it has its time");
        assert_eq!(choose(&mut relay, 100, two), Some(three), "the next one that is heard");
        assert!(relay.passed(Duration::from_millis(150), three) && !relay.passed(Duration::from_millis(150), one));
        assert_eq!(choose(&mut relay, 249, me), Some(three), "it does its work");
        assert_eq!(choose(&mut relay, 249, three), Some(one), "from the first again");
        relay.end();
        assert_eq!(relay.current(), None);
        let nobody = |relay: &mut Relay| relay.choose(Duration::ZERO, patience, (me, &others), |_| false);
        nobody(&mut relay);
        assert_eq!(relay.current(), None);
    }
}
