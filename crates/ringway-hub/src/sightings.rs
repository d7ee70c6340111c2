//! Who has come and gone, for whoever keeps a list of those online elsewhere. Nothing is noted until somebody asks for the first time.

use ringway_core::UserName;
use uuid::Uuid;

use super::keys::SessionKey;
use super::{Hub, Socket};

/// Comings and goings that wait to be asked for, of some 50 bytes each. Above it they are dropped, and whoever asks is told.
const WAITING: usize = 16_384;

/// A session of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Whose.
    pub user: UserName,
    /// The session's id.
    pub client: Uuid,
    /// It has come; otherwise it has gone.
    pub came: bool,
}

/// What was seen since it was asked for.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    list: Vec<Sighting>,
    is_short: bool,
}

impl Sightings {
    fn note(&mut self, sighting: Sighting) {
        if self.list.len() < WAITING {
            self.list.push(sighting);
        } else {
            self.is_short = true;
        }
    }
}

impl<S: Socket> Hub<S> {
    /// What was seen since the last time, in order, and whether all of it is there.
    pub(super) fn take_sightings(&mut self) -> (Vec<Sighting>, bool) {
        match &mut self.sightings {
            Some(sightings) => {
                let Sightings { list, is_short } = std::mem::take(&mut **sightings);
                (list, !is_short)
            }
            None => {
                self.sightings = Some(Box::default());
                (Vec::new(), false)
            }
        }
    }

    /// This session has come, or is about to go.
    pub(super) fn sighted(&mut self, key: SessionKey, came: bool) {
        let Some(sightings) = &mut self.sightings else { return };
        let session = self.roster.get(key).filter(|session| came || session.is_online());
        if let Some((user, client)) = session.and_then(|session| Some((session.user.clone()?, session.client))) {
            sightings.note(Sighting { user, client, came });
        }
    }

    /// Some sessions of users from this place on, and where the next ones are; `None`: there are none.
    pub(super) fn online_from(&self, place: u32, most: usize) -> (Vec<(UserName, Uuid)>, Option<u32>) {
        let mut found = Vec::new();
        for (key, session) in self.roster.open().skip_while(|(key, _)| *key < place) {
            if found.len() >= most {
                return (found, Some(key));
            }
            if let Some(user) = session.user.clone().filter(|_| session.is_online()) {
                found.push((user, session.client));
            }
        }
        (found, None)
    }
}
