//! From text to TOML. A slip of the pen in one line does not hide what is wrong in the others.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Range, RangeInclusive};

use serde::Deserialize;
use toml::Table;
use toml::de::{DeTable, DeValue, Deserializer};

/// What is wrong, by line, counted from 1.
type Wrong = BTreeMap<usize, String>;

/// The settings in a text, without those in lines that are not TOML; and what is wrong with these, one sentence per line.
pub(super) fn read(text: &str) -> (Table, Vec<String>) {
    let mut wrong = Wrong::new();
    let mut text = text.to_owned();
    let table = loop {
        let before = wrong.len();
        let table = settings(&text, &mut wrong);
        let next = mended(&text, &wrong);
        if wrong.len() == before || next == text {
            break table;
        }
        text = next;
    };
    let faults = wrong.into_iter().map(|(line, why)| format!("line {line} is not TOML: {why}."));
    (table, faults.collect())
}

/// One reading; adds what is wrong.
fn settings(text: &str, wrong: &mut Wrong) -> Table {
    let (mut document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        wrong.entry(line_of(text, &error)).or_insert_with(|| error.message().to_owned());
    }
    loop {
        keep_what_was_read(document.get_mut(), text, wrong);
        match Table::deserialize(Deserializer::from(document.clone())) {
            Ok(table) => return table,
            // Numbers are read last. Each turn names one more line, or ends.
            Err(error) => match wrong.entry(line_of(text, &error)) {
                Entry::Vacant(line) => drop(line.insert(error.message().to_owned())),
                Entry::Occupied(_) => return Table::new(),
            },
        }
    }
}

/// Takes out what stands in lines with an error: what it was meant to be is a guess.
fn keep_what_was_read(table: &mut DeTable<'_>, text: &str, wrong: &Wrong) {
    let read = std::mem::take(table).into_iter().filter_map(|(key, mut value)| {
        let lines = lines_of(text, value.span());
        let is_read = match value.get_mut() {
            DeValue::Table(inner) => {
                keep_what_was_read(inner, text, wrong);
                true
            }
            _ => wrong.range(lines).next().is_none(),
        };
        is_read.then_some((key, value))
    });
    *table = read.collect();
}

/// The parser reads nothing behind a key without `=`, and takes `[client` for no section: such wrong lines are emptied, or closed, for it.
fn mended(text: &str, wrong: &Wrong) -> String {
    let mend = |line: &str| match line.trim() {
        head if head.starts_with('[') && !head.ends_with(']') => format!("{head}]\n"),
        head if head.starts_with('[') || line.contains('=') => line.to_owned(),
        _ => "\n".to_owned(),
    };
    let lines = text.split_inclusive('\n').zip(1..);
    lines.map(|(line, number)| if wrong.contains_key(&number) { mend(line) } else { line.to_owned() }).collect()
}

fn line_of(text: &str, error: &toml::de::Error) -> usize {
    error.span().map_or(1, |span| *lines_of(text, span).start())
}

fn lines_of(text: &str, span: Range<usize>) -> RangeInclusive<usize> {
    let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    line(span.start)..=line(span.end.max(span.start))
}
