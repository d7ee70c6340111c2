//! Who is on a channel through one gateway, in the order of client ids: so a listing goes on behind a client, in a time that does not
//! grow with how many there are, and so do joins and leaves.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use crate::message::{Presence, SessionChange};

/// The clients of one listener, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roll(BTreeSet<ByClient>);

#[derive(Debug, Clone)]
struct ByClient(Presence);

impl PartialEq for ByClient {
    fn eq(&self, other: &Self) -> bool {
        self.0.client == other.0.client
    }
}

impl Eq for ByClient {}

impl PartialOrd for ByClient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByClient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.client.cmp(&other.0.client)
    }
}

impl Borrow<u128> for ByClient {
    fn borrow(&self) -> &u128 {
        &self.0.client
    }
}

impl FromIterator<Presence> for Roll {
    fn from_iter<I: IntoIterator<Item = Presence>>(clients: I) -> Self {
        Self(clients.into_iter().map(ByClient).collect())
    }
}

impl Roll {
    /// Brings it up to date. Somebody who joins and is known already is not doubled.
    pub(crate) fn apply(&mut self, change: &SessionChange) {
        for client in &change.left {
            self.0.remove(client);
        }
        for joined in &change.joined {
            self.0.replace(ByClient(joined.clone()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn after(&self, client: Option<u128>) -> impl Iterator<Item = &Presence> {
        let from = client.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range::<u128, _>((from, Bound::Unbounded)).map(|one| &one.0)
    }
}

/// Those behind a client, of several rolls together: of no more bytes than `room`, or one. And whether there are more.
pub(crate) fn page<'a>(
    rolls: impl Iterator<Item = &'a Roll>,
    after: Option<u128>,
    room: usize,
) -> (Vec<Presence>, bool) {
    let mut rolls: Vec<_> = rolls.map(|roll| roll.after(after).peekable()).collect();
    let (mut clients, mut bytes) = (Vec::<Presence>::new(), 0);
    // Many clients, few gateways.
    while let Some(next) = rolls.iter_mut().filter_map(|roll| roll.peek().map(|one| one.client)).min() {
        let named =
            rolls.iter_mut().filter_map(|roll| roll.next_if(|one| one.client == next)).fold(None, |_, one| Some(one));
        let Some(one) = named else { break };
        bytes += one.size();
        if bytes > room && !clients.is_empty() {
            return (clients, true);
        }
        clients.push(one.clone());
    }
    (clients, false)
}

/// Clients of several rolls, and their different users; all anonymous ones together are one user.
pub(crate) fn count<'a>(rolls: impl Iterator<Item = &'a Roll> + Clone) -> (u32, u32) {
    let clients = rolls.clone().map(|roll| roll.0.len() as u32).fold(0, u32::saturating_add);
    let mut users: HashSet<&str> = HashSet::with_capacity(clients as usize);
    users.extend(rolls.flat_map(|roll| roll.0.iter().map(|one| &*one.0.user)));
    (clients, users.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChannelName;
    use crate::message::AttachId;

    fn present(client: u128) -> Presence {
        Presence { client, user: format!("user-{}", client % 3).into(), conn_info: None, chan_info: None }
    }

    fn listed(rolls: &[Roll], room: usize, mut between: impl FnMut(usize) -> Vec<Roll>) -> Vec<u128> {
        let (mut found, mut after, mut rolls) = (Vec::new(), None, rolls.to_vec());
        loop {
            let (clients, more) = page(rolls.iter(), after, room);
            assert!(!clients.is_empty() || !more, "every page goes on");
            assert!(clients.iter().map(Presence::size).sum::<usize>() <= room || clients.len() == 1);
            found.extend(clients.iter().map(|one| one.client));
            after = found.last().copied();
            if !more {
                return found;
            }
            rolls = between(found.len());
        }
    }

    #[test]
    fn every_client_is_told_once_whatever_the_size_of_a_page() {
        let rolls: Vec<Roll> =
            (0..3).map(|gateway| (0..50).filter(|c| c % 3 == gateway).map(present).collect()).collect();
        for room in [1, 100, 500, 1 << 20] {
            assert_eq!(listed(&rolls, room, |_| rolls.clone()), (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_stays_is_told_once_while_others_come_and_go() {
        let stays = |client: &u128| client.is_multiple_of(2);
        let rolls = |round: usize| -> Vec<Roll> {
            let comes = move |client: &u128| stays(client) || (client / 2 + round as u128).is_multiple_of(3);
            vec![(0..60).filter(comes).map(present).collect(), (60..100).filter(comes).map(present).collect()]
        };
        let found = listed(&rolls(0), 300, rolls);
        let stayed: Vec<u128> = found.iter().copied().filter(stays).collect();
        assert_eq!(stayed, (0..100).filter(stays).collect::<Vec<_>>());
        assert!(found.is_sorted_by(|a, b| a < b), "nobody twice");
    }

    #[test]
    fn a_change_doubles_nobody() {
        let mut roll: Roll = (1..=11).map(present).collect();
        let channel = ChannelName::new("news").unwrap();
        let (joined, left) = ((10..30).map(present).collect(), (1..9).collect());
        roll.apply(&SessionChange {
            channel,
            attach: AttachId(1),
            sessions: 22,
            joined,
            left,
            last: false,
            more: false,
        });
        let after: Vec<u128> = roll.after(None).map(|one| one.client).collect();
        assert_eq!(after, [9].into_iter().chain(10..30).collect::<Vec<_>>());
        assert_eq!(count([&roll, &Roll::default()].into_iter()), (21, 3));
    }
}
