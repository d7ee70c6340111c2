//! The handle by which a member holds its links.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use ringway_core::id::{Birth, Incarnation, MemberId};
use ringway_protocol::link::{Identity, Versions};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::accept::{Listener, accept};
use crate::connection::{Connection, LinkSender};
use crate::dial::{Evidence, keep, probe};
use crate::door::{Door, Turned};
use crate::end::{Ended, LinkId};
use crate::event::Event;
use crate::fault::{Direction, Faults, Slow};
use crate::handshake::{Keys, Secret};
use crate::limits::Limits;
use crate::pairs::Pairs;
use crate::shared::Shared;
use crate::target::Target;
use crate::wrong_secret::OnWrongSecret;

/// What links are made with.
#[derive(Debug)]
pub struct Settings {
    /// Who this member is.
    pub identity: Identity,
    /// The cluster's name; members of another one are refused. May be empty.
    pub cluster: Box<str>,
    /// What members know and nobody else.
    pub secret: Secret,
    /// Bounds.
    pub limits: Limits,
    /// What becomes of whoever knocks with a wrong secret.
    pub on_wrong_secret: OnWrongSecret,
}

/// All links of one member. Cheap to clone; with the last clone everything ends at once.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
    _ends_all: Arc<DropGuard>,
}

/// One link in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStats {
    /// The connection.
    pub link: LinkId,
    /// Who is at the other end.
    pub peer: MemberId,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// Version of the link protocol that is spoken.
    pub version: u16,
    /// Bytes read.
    pub bytes_in: u64,
    /// Frames read.
    pub frames_in: u64,
    /// Frames read that this release does not know, and skipped.
    pub frames_skipped: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Frames queued.
    pub frames_out: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// How often the link with this incarnation was made anew.
    pub reconnects: u64,
}

impl Links {
    /// Begins to accept on the open port. What happens comes out of the receiver; when that is dropped all links end.
    pub fn start(listener: Listener, settings: Settings) -> (Self, mpsc::Receiver<Event>) {
        let Settings { identity, cluster, secret, limits, on_wrong_secret } = settings;
        let own = identity.incarnation;
        let (events, receiver) = mpsc::channel(limits.events);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            me: RwLock::new(Arc::new(identity)),
            keys: Keys { secret, cluster, versions: Versions::OURS },
            door: Arc::new(Door::new(limits.unauthenticated, limits.reserved)),
            limits,
            events,
            pairs: Pairs::new(own),
            faults: Faults::default(),
            on_wrong_secret,
            dials: Mutex::new(HashMap::new()),
            quiet: stop.child_token(),
            stop: stop.clone(),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        (Self { shared, _ends_all: Arc::new(stop.drop_guard()) }, receiver)
    }

    /// Keeps a link with the target until it is forgotten. Dialing the same target twice is dialing it once.
    pub fn dial(&self, target: Target) {
        let mut dials = self.shared.dials.lock();
        if dials.contains_key(&target) {
            return;
        }
        let stop = CancellationToken::new();
        dials.insert(target.clone(), stop.clone());
        tokio::spawn(keep(target, Arc::clone(&self.shared), stop));
    }

    /// Stops dialing the target. A link that stands stays.
    pub fn stop_dialing(&self, target: &Target) {
        if let Some(stop) = self.shared.dials.lock().remove(target) {
            stop.cancel();
        }
    }

    /// Stops dialing this incarnation. A link that stands stays until the other end closes it: it may have something left to say.
    pub fn let_go(&self, peer: Incarnation) {
        self.shared.dials.lock().retain(|target, stop| {
            let stays = target.incarnation() != Some(peer);
            if !stays {
                stop.cancel();
            }
            stays
        });
    }

    /// Stops dialing this incarnation and closes the link with it, once what is queued is written. It can still dial us.
    pub fn forget(&self, peer: Incarnation) {
        self.let_go(peer);
        if let Some(link) = self.shared.pairs.live(peer) {
            link.close(Ended::Forgotten);
        }
    }

    /// The live link with this incarnation.
    pub fn link(&self, peer: Incarnation) -> Option<LinkSender> {
        self.shared.pairs.live(peer).map(LinkSender)
    }

    /// Dials once to see who is there, and makes no link. For evidence of death.
    pub async fn probe(&self, target: &Target, deadline: Duration) -> Evidence {
        probe(target, deadline, &self.shared).await
    }

    /// Who this member says it is.
    pub fn identity(&self) -> Arc<Identity> {
        self.shared.me()
    }

    /// From now on this member is somebody else, a new incarnation mostly. All links end and are dialed anew.
    pub fn set_identity(&self, identity: Identity) {
        let own = identity.incarnation;
        *self.shared.me.write() = Arc::new(identity);
        self.shared.pairs.reborn(own);
    }

    /// From now on this member belongs to this cluster. Links that stand stay, but for those with members of another one.
    pub fn belong_to(&self, birth: Birth) {
        let me = {
            let mut me = self.shared.me.write();
            *me = Arc::new(Identity { birth: Some(birth), ..(**me).clone() });
            Arc::clone(&me)
        };
        let links = self.shared.pairs.all();
        links
            .iter()
            .filter(|link| link.peer.is_of_another_cluster_than(&me))
            .for_each(|link| link.end(Ended::OtherCluster));
    }

    /// Cuts this member off from another for a while, to test the cluster. Frames are held back, new connections
    /// hang; at the end of the cut the link breaks and what was held back is lost.
    pub fn cut(&self, peer: &MemberId, direction: Direction, duration: Duration) {
        self.shared.faults.cut(peer, Instant::now() + duration);
        for connection in self.shared.pairs.with(peer) {
            connection.held.send_modify(|held| *held = held.and(direction));
        }
        let (shared, peer) = (Arc::clone(&self.shared), peer.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = sleep(duration) => {}
            }
            if shared.faults.mend(&peer, Instant::now()) {
                shared.pairs.with(&peer).iter().for_each(|connection| connection.end(Ended::Cut));
            }
        });
    }

    /// Makes what another member sends arrive here later or slower for a while, to test the cluster. Nothing is lost, and no link is
    /// closed for it. A second order takes the place of the first.
    pub fn slow(&self, peer: &MemberId, slow: Slow, duration: Duration) {
        let until = Instant::now() + duration;
        self.shared.faults.slow(peer, slow, until);
        self.shared.pairs.with(peer).iter().for_each(|connection| connection.slow(Some(slow)));
        let (shared, peer) = (Arc::clone(&self.shared), peer.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = sleep(duration) => {}
            }
            if shared.faults.quicken(&peer, until) {
                shared.pairs.with(&peer).iter().for_each(|connection| connection.slow(None));
            }
        });
    }

    /// Those who knocked and did not become a link.
    pub fn turned(&self) -> Arc<Turned> {
        Arc::clone(&self.shared.door.turned)
    }

    /// Every link in numbers.
    pub fn stats(&self) -> Vec<LinkStats> {
        let pairs = &self.shared.pairs;
        pairs.all().iter().map(|link| stats_of(link, pairs.reconnects(link.peer.incarnation))).collect()
    }

    /// Stops dialing and accepting, writes out what is queued within the time for it, and closes every link.
    pub async fn shut_down(&self) {
        self.shared.quiet.cancel();
        let links = self.shared.pairs.all();
        links.iter().for_each(|link| link.close(Ended::ShutDown));
        let closed = async {
            for link in &links {
                link.ended().await;
            }
        };
        let _ = timeout(self.shared.limits.flush, closed).await;
        self.shared.stop.cancel();
    }
}

fn stats_of(link: &Connection, reconnects: u64) -> LinkStats {
    let counters = &link.counters;
    LinkStats {
        link: link.id,
        peer: link.peer.id.clone(),
        incarnation: link.peer.incarnation,
        version: link.version,
        bytes_in: counters.bytes_in.load(Ordering::Relaxed),
        frames_in: counters.frames_in.load(Ordering::Relaxed),
        frames_skipped: counters.frames_skipped.load(Ordering::Relaxed),
        reads: counters.reads.load(Ordering::Relaxed),
        bytes_out: counters.bytes_out.load(Ordering::Relaxed),
        frames_out: link.outgoing.frames(),
        writes: counters.writes.load(Ordering::Relaxed),
        queued_bytes: link.outgoing.queued_bytes(),
        reconnects,
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.shared.me().id)
    }
}
