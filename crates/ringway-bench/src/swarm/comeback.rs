//! Clients whose sockets end come back: to another server if there is one, after pauses that grow, from their positions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::ensure;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::ended::Ended;
use super::journal::Leaving;
use super::member::{CHANNEL, Link, Role, State};
use super::open;
use super::returns::Returns;
use crate::socket::{Closed, Socket};
use crate::stamp::now_nanos;

/// The first pause is up to this; each next one up to twice as long ...
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// ... until they are this long. The published clients wait up to 20 s; a run wants its clients back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A server that has not let a client in after this is given up for the next one: it may be frozen.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);
/// Silent sockets are looked for this often.
const LOOK: Duration = Duration::from_millis(500);
/// A publish is answered within the server's deadline, with an error if it must. A server that has said nothing at all for longer than
/// this above it is gone.
const UNANSWERED: Duration = Duration::from_secs(1);
/// How much later than it should a refusal may come, in nanoseconds.
const ANSWER_LATE: u64 = 1_000_000_000;
/// Plain users are told how many there are every 5 s.
const UNTOLD: Duration = Duration::from_secs(8);

impl State {
    /// A client's socket has ended, and it is to come back.
    pub(super) fn left(&self, returns: &Returns, client: u32, closed: &Closed) {
        let member = &self.members[client as usize];
        let now = now_nanos();
        let (target, leaving, heard) = {
            let mut link = member.link.lock();
            // Without a socket this was one that never came online, and whoever tries is told.
            if link.socket.is_none() || (closed.asked && link.leaving.is_none()) {
                return;
            }
            link.socket = None;
            if let Role::Centrifuge { channel, .. } = member.role
                && link.ends < self.ends.load(Relaxed)
            {
                member.sender.late_end_of_life(CHANNEL | channel);
            }
            (link.target, link.leaving.take(), member.waiting.swap(0, Relaxed))
        };
        let last_word = if heard == 0 { now } else { heard };
        let broken = returns.breaks.of(target, now);
        member.sender.give_up();
        self.doubt_since(client, broken.unknown_since(last_word));
        if let Some(journal) = &mut member.link.lock().journal {
            journal.end(broken.kept_until(now));
        }
        match leaving {
            Some(Leaving::Moving(_)) => drop(returns.moves.fetch_add(1, Relaxed)),
            _ if broken.is_any() => drop(returns.ours.fetch_add(1, Relaxed)),
            leaving => {
                let reason = if leaving.is_some() { "given up: not a word from the server" } else { &closed.reason };
                self.ended.lock().push(Ended {
                    name: member.name.clone(),
                    code: closed.code,
                    reason: reason.to_owned(),
                });
            }
        }
        member.link.lock().wanted = leaving.and_then(Leaving::wanted);
        returns.away.fetch_add(1, Relaxed);
        // Full only if somebody were in it twice; closed at the end, when nobody comes back any more.
        let _ = returns.leavers.try_send(client);
    }

    /// What a plain user wrote since then may have been taken or not.
    fn doubt_since(&self, client: u32, since: u64) {
        let member = &self.members[client as usize];
        let mut link = member.link.lock();
        if let Some(journal) = &mut link.journal {
            journal.sent_since(since).for_each(|sent| member.sender.doubt(sent.dest, sent.seq));
        }
    }

    /// After a type 5: some message of this user was not taken in time, and the answer does not say which.
    pub(super) fn doubt_recent(&self, returns: &Returns, client: u32) {
        let (now, target) = (now_nanos(), self.members[client as usize].link.lock().target);
        let answered_late = now.saturating_sub(ANSWER_LATE);
        self.doubt_since(client, returns.breaks.of(target, now).unknown_since(answered_late));
    }

    /// Asks clients to move so that all of the servers that are `up` have as many; at most `limit` clients. Returns how many.
    pub(super) fn spread(&self, up: &[bool], limit: usize) -> usize {
        let usable = up.iter().filter(|up| **up).count().max(1);
        let mut load = vec![0_usize; up.len()];
        let online = |link: &Link| link.socket.is_some() && link.leaving.is_none();
        let links = || self.members.iter().map(|member| (member, member.link.lock()));
        links().filter(|(_, link)| online(link)).for_each(|(_, link)| load[link.target] += 1);
        let fair = load.iter().sum::<usize>().div_ceil(usable);
        let mut moved = 0;
        for (member, mut link) in links() {
            if moved == limit {
                break;
            }
            let emptiest = (0..up.len()).filter(|target| up[*target]).min_by_key(|target| load[*target]);
            let Some(emptiest) = emptiest.filter(|target| load[*target] + 1 < fair) else { break };
            let (true, from) = (online(&link) && load[link.target] > fair, link.target) else { continue };
            if let Some(socket) = link.socket.clone() {
                link.leaving = Some(Leaving::Moving(emptiest));
                // A server that does not answer the close is met like any other that is silent.
                let _ = member.waiting.compare_exchange(0, now_nanos(), Relaxed, Relaxed);
                drop(link);
                socket.close(1000, "");
                (load[from], load[emptiest], moved) = (load[from] - 1, load[emptiest] + 1, moved + 1);
            }
        }
        moved
    }

    /// Drops the sockets of servers that have not said a word for too long.
    fn give_up_silent(&self) {
        let now = now_nanos();
        for member in &self.members {
            let limit = if matches!(member.role, Role::Plain { .. }) { UNTOLD } else { self.deadline + UNANSWERED };
            let waiting = member.waiting.load(Relaxed);
            if waiting == 0 || Duration::from_nanos(now.saturating_sub(waiting)) < limit {
                continue;
            }
            let socket = {
                let mut link = member.link.lock();
                if link.leaving.is_none() && link.socket.is_some() {
                    link.leaving = Some(Leaving::Silent);
                }
                link.socket.clone()
            };
            // The end is told by the socket itself, after which nothing more comes from it.
            socket.iter().for_each(Socket::abort);
        }
    }

    /// The client is online at a server; false if that was over before it began.
    fn is_back(&self, client: u32, target: usize, socket: Socket) -> bool {
        let member = &self.members[client as usize];
        let mut link = member.link.lock();
        // Its end is told only after it can be seen here, and who tells it waits for the link.
        if socket.closed().is_some() {
            return false;
        }
        member.waiting.store(if link.journal.is_some() { now_nanos() } else { 0 }, Relaxed);
        (link.target, link.wanted, link.ends) = (target, None, self.ends.load(Relaxed));
        link.socket = Some(socket);
        true
    }
}

/// Brings back whoever leaves, until the swarm is dropped.
pub(super) async fn keep(state: Arc<State>, mut leavers: mpsc::Receiver<u32>, connecting: usize) {
    let permits = Arc::new(Semaphore::new(connecting.max(1)));
    let mut coming = JoinSet::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            leaver = leavers.recv() => match leaver {
                Some(client) => drop(coming.spawn(come_back(state.clone(), client, permits.clone()))),
                None => return,
            },
            _ = coming.join_next(), if !coming.is_empty() => {}
            _ = look.tick() => state.give_up_silent(),
        }
    }
}

async fn come_back(state: Arc<State>, client: u32, permits: Arc<Semaphore>) {
    let Some(returns) = &state.returns else { return };
    let left = now_nanos();
    for attempt in 0_usize.. {
        tokio::time::sleep(pause(attempt)).await;
        let Ok(_permit) = permits.acquire().await else { return };
        let target = state.choose(client, attempt);
        let coming = tokio::time::timeout(ATTEMPT_LIMIT, try_once(&state, client, target)).await;
        if matches!(coming, Ok(Ok(()))) {
            returns.times.record(Duration::from_nanos(now_nanos() - left));
            returns.reconnects.fetch_add(1, Relaxed);
            returns.away.fetch_sub(1, Relaxed);
            return;
        }
    }
}

async fn try_once(state: &Arc<State>, client: u32, target: usize) -> anyhow::Result<()> {
    let position = state.members[client as usize].link.lock().position.clone();
    let socket = open(state, client, target, position).await?;
    ensure!(state.is_back(client, target, socket), "ended at once");
    Ok(())
}

impl State {
    /// Where to try: first where it wants to go, or anywhere but where it was, then in turn.
    fn choose(&self, client: u32, attempt: usize) -> usize {
        let link = self.members[client as usize].link.lock();
        link.wanted.filter(|_| attempt == 0).unwrap_or(link.target + 1 + attempt) % self.targets.len()
    }
}

/// A random part of a span that doubles with each attempt: clients that left together do not come back together.
fn pause(attempt: usize) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.min(8)).min(LONGEST_PAUSE);
    doubled.mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        assert!((0..100).all(|_| pause(0) <= FIRST_PAUSE));
        assert!((0..100).all(|attempt| pause(attempt) <= LONGEST_PAUSE));
        assert!((0..100).any(|_| pause(60) > FIRST_PAUSE));
    }
}
