//! A census in memory, for tests: what happens to a real one can be done to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Absent, Census, Entry, LOOK, List, Listed, Reason, Standing};

/// Where the list is. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Place(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    listed: Mutex<Sheet>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Sheet {
    rows: BTreeMap<String, Row>,
    is_away: bool,
    is_protected: bool,
}

#[derive(Debug)]
struct Row {
    weight: f64,
    is_enabled: bool,
    is_healthy: bool,
}

impl Row {
    fn standing(&self) -> Standing {
        match self {
            Self { is_enabled: false, .. } => Standing::Off(Reason::Disabled),
            Self { is_healthy: false, .. } => Standing::Off(Reason::Unhealthy),
            Self { weight, .. } if *weight <= 0.0 => Standing::Off(Reason::Weightless),
            Self { weight, .. } => Standing::Well { weight: *weight },
        }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self(Arc::new(Shared { listed: Mutex::default(), changes: watch::Sender::new(0) }))
    }
}

impl Place {
    /// A member's way to it.
    pub fn open(&self) -> Memory {
        Memory { place: self.clone(), seen: self.0.changes.subscribe(), entry: None }
    }

    /// Takes a member out of service, or back.
    pub fn set_enabled(&self, id: &str, is_enabled: bool) {
        self.change_row(id, |row| row.is_enabled = is_enabled);
    }

    /// Finds a member unwell, or well.
    pub fn set_healthy(&self, id: &str, is_healthy: bool) {
        self.change_row(id, |row| row.is_healthy = is_healthy);
    }

    /// Gives a member a weight.
    pub fn set_weight(&self, id: &str, weight: f64) {
        self.change_row(id, |row| row.weight = weight);
    }

    /// Says of everybody that it is well, or no longer.
    pub fn protect(&self, is_protected: bool) {
        self.change(|sheet| sheet.is_protected = is_protected);
    }

    /// Is away, or back.
    pub fn set_away(&self, is_away: bool) {
        self.change(|sheet| sheet.is_away = is_away);
    }

    fn change_row(&self, id: &str, change: impl FnOnce(&mut Row)) {
        self.change(|sheet| sheet.rows.get_mut(id).map(change));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Sheet) -> T) {
        change(&mut self.0.listed.lock());
        self.0.changes.send_modify(|count| *count += 1);
    }
}

/// A member's way to a census in memory.
#[derive(Debug)]
pub struct Memory {
    place: Place,
    seen: watch::Receiver<u64>,
    entry: Option<Entry>,
}

impl Census for Memory {
    async fn enter(&mut self, entry: Entry) -> Result<(), Absent> {
        let row = Row { weight: entry.weight, is_enabled: true, is_healthy: true };
        self.place.change(|sheet| sheet.rows.insert(entry.id.clone(), row));
        self.entry = Some(entry);
        Ok(())
    }

    async fn next(&mut self) -> Result<List, Absent> {
        // Its sender is in the place, which this holds.
        let _ = timeout(LOOK, self.seen.changed()).await;
        let sheet = self.place.0.listed.lock();
        if sheet.is_away {
            return Err(Absent("the census in memory is away".to_owned()));
        }
        let standing = |row: &Row| match sheet.is_protected {
            true => Standing::Well { weight: row.weight },
            false => row.standing(),
        };
        let members = sheet.rows.iter().map(|(id, row)| Listed { id: id.clone(), standing: standing(row) }).collect();
        Ok(List { members, is_protected: sheet.is_protected })
    }

    async fn leave(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.place.change(|sheet| sheet.rows.remove(&entry.id));
        }
    }
}
