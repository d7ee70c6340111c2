//! Reads a file section by section and keeps every fault, so that a person mends them all at once.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeBounds;

use strsim::levenshtein;
use toml::{Table, Value};

use super::document;
use super::value::Setting;
use crate::address::host_and_port;

/// Spellings up to this many edits apart are taken for a slip, and the right one is named.
const SLIP_EDITS: usize = 3;

/// Everything that is wrong with a config, one sentence each. Nothing was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "  - {fault}{end}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What reading one file has found so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    faults: RefCell<Vec<String>>,
    /// Full paths of all settings there are, in the order of asking.
    asked: RefCell<Vec<String>>,
}

/// One table of the file on its way to being read. What nobody asked for when it is dropped is a fault.
pub(super) struct Section<'a> {
    reading: &'a Reading,
    path: String,
    table: Table,
    keys: Vec<String>,
}

impl Reading {
    /// Begins with the whole file. What is not TOML in it is a fault, with its line.
    pub(super) fn root(&self, text: &str) -> Section<'_> {
        let (table, faults) = document::read(text);
        self.faults.borrow_mut().extend(faults);
        Section { reading: self, path: String::new(), table, keys: Vec::new() }
    }

    pub(super) fn fault(&self, sentence: String) {
        self.faults.borrow_mut().push(sentence);
    }

    pub(super) fn faults(&self) -> Vec<String> {
        self.faults.take()
    }

    /// Full paths of all settings.
    #[cfg(test)]
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.take()
    }
}

impl Section<'_> {
    /// Reads a setting over its default, if the file has it.
    pub(super) fn read<T: Setting>(&mut self, key: &str, into: &mut T) {
        let path = self.path_of(key);
        self.keys.push(key.to_owned());
        self.reading.asked.borrow_mut().push(path.clone());
        match self.table.remove(key).as_ref().map(T::from_toml) {
            Some(Ok(value)) => *into = value,
            Some(Err(why)) => self.reading.fault(format!("`{path}` {why}.")),
            None => {}
        }
    }

    /// The same for a setting with bounds; `reason` says why they are there.
    pub(super) fn read_within<T>(&mut self, key: &str, into: &mut T, bounds: impl RangeBounds<T>, reason: &str)
    where
        T: Setting + PartialOrd + fmt::Debug + Copy,
    {
        let before = *into;
        self.read(key, into);
        if !bounds.contains(into) {
            self.reading.fault(format!("`{}` is {:?}, which is out of bounds: {reason}.", self.path_of(key), *into));
            *into = before;
        }
    }

    /// An address that somebody else dials: `host:port`.
    pub(super) fn read_host_and_port(&mut self, key: &str, into: &mut Option<String>) {
        self.read(key, into);
        if let Some(Err(why)) = into.as_deref().map(host_and_port) {
            self.fault(key, &why);
        }
    }

    /// One of a few words.
    pub(super) fn read_word<T: Copy>(&mut self, key: &str, into: &mut T, words: &[(&str, T)]) {
        let mut word = None::<String>;
        self.read(key, &mut word);
        let Some(word) = word else { return };
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, meant)) => *into = *meant,
            None => {
                let all: Vec<String> = words.iter().map(|(known, _)| format!("{known:?}")).collect();
                self.reading.fault(format!(
                    "`{}` is {word:?}, but must be one of {}.",
                    self.path_of(key),
                    all.join(", ")
                ));
            }
        }
    }

    /// A key that has another name: a file that has it is told which.
    pub(super) fn renamed(&mut self, key: &str, to: &str) {
        if self.table.remove(key).is_some() {
            self.fault(key, &format!("is not a setting: it is named `{}`", self.path_of(to)));
        }
    }

    /// Reads a table inside this one; an absent one is empty.
    pub(super) fn section(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>)) {
        let path = self.path_of(key);
        self.keys.push(key.to_owned());
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.reading.fault(format!(
                    "`{path}` is {}, but must be a section: write [{path}] on a line of its own.",
                    other.type_str()
                ));
                return;
            }
        };
        read(&mut Section { reading: self.reading, path, table, keys: Vec::new() });
    }

    /// Reads tables whose names are the user's own.
    pub(super) fn named_sections(&mut self, mut read: impl FnMut(&str, &mut Section<'_>)) {
        let names: Vec<String> =
            self.table.iter().filter(|(_, value)| value.is_table()).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.section(&name, |section| read(&name, section));
        }
    }

    /// A setting that was spelled otherwise once: a fault, where it is there, that says what to write instead.
    pub(super) fn replaced(&mut self, key: &str, instead: &str) {
        if self.table.remove(key).is_some() {
            self.fault(key, &format!("is spelled otherwise: {instead}"));
        }
    }

    /// Reads a list of tables, however many there are.
    pub(super) fn tables(&mut self, key: &str, mut read: impl FnMut(&mut Section<'_>)) {
        let path = self.path_of(key);
        self.keys.push(key.to_owned());
        let tables = match self.table.remove(key) {
            None => return,
            Some(Value::Array(tables)) => tables,
            Some(other) => vec![other],
        };
        for (at, table) in tables.into_iter().enumerate() {
            match table {
                Value::Table(table) => {
                    let path = format!("{path}[{at}]");
                    read(&mut Section { reading: self.reading, path, table, keys: Vec::new() });
                }
                other => self.reading.fault(format!(
                    "`{path}` has {}, but is a list of sections: write [[{path}]] on a line of its own before each.",
                    other.type_str()
                )),
            }
        }
    }

    /// Adds a fault that concerns a setting of this section: "`key` …".
    pub(super) fn fault(&self, key: &str, why: &str) {
        self.reading.fault(format!("`{}` {why}.", self.path_of(key)));
    }

    /// Adds a fault that concerns this whole section.
    pub(super) fn fault_here(&self, why: &str) {
        self.reading.fault(format!("`{}` {why}.", self.path));
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for key in self.table.keys() {
            let hint = match nearest(key, &self.keys) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None if self.keys.is_empty() => "Sections are expected here.".to_owned(),
                None => format!("Known here: {}.", self.keys.join(", ")),
            };
            self.reading.fault(format!("`{}` is not a setting. {hint}", self.path_of(key)));
        }
    }
}

/// The known key that a person probably meant.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    let allowed = SLIP_EDITS.min(key.chars().count() / 2);
    known
        .iter()
        .map(|other| (levenshtein(key, other), other))
        .filter(|(edits, _)| *edits <= allowed)
        .min()
        .map(|(_, other)| other)
}
