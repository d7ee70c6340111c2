//! Several commands in one body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::BadBody;
use crate::json::fields::{Strict, nullable};

/// Commands that are carried out together, each answered in its place.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BatchRequest<'a> {
    /// The commands; `null` is one that makes no sense.
    #[serde(borrow, deserialize_with = "nullable")]
    pub commands: Vec<Option<Command<'a>>>,
    /// They may be carried out side by side. If not, each begins when the one before it is answered.
    #[serde(deserialize_with = "nullable")]
    pub parallel: bool,
}

/// One command: its method's name with the request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Command<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Command<'a> {
    /// The request of this method, if it is there and not `null`.
    pub fn of(&self, method: &str) -> Option<&'a RawValue> {
        self.0.get(method).copied().filter(|params| params.get() != "null")
    }
}

/// One command as clients wrote it before each method had a path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LegacyCommand<'a> {
    /// Comes back with the answer; 0 for none.
    #[serde(deserialize_with = "nullable")]
    pub id: u32,
    /// What is to be done.
    #[serde(borrow, deserialize_with = "nullable")]
    pub method: LegacyMethod<'a>,
    /// The method's request.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
}

/// A method by its name, in any case, or by its number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum LegacyMethod<'a> {
    /// Its number.
    Numbered(i32),
    /// Its name.
    Named(#[serde(borrow)] Cow<'a, str>),
}

impl Default for LegacyMethod<'_> {
    fn default() -> Self {
        Self::Numbered(0)
    }
}

/// Reads commands that stand one behind the other, with or without white space between them.
///
/// # Errors
/// [`BadBody`] if one of them is not an object of that shape. None of them is to be carried out.
pub fn decode_lines(body: &[u8]) -> Result<Vec<LegacyCommand<'_>>, BadBody> {
    let mut lines = Vec::new();
    for line in serde_json::Deserializer::from_slice(body).into_iter::<Line<'_>>() {
        lines.push(line?.0);
    }
    Ok(lines)
}

/// An object, and nothing else that could be read as one.
struct Line<'a>(LegacyCommand<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict::deserialize(deserializer).map(|Strict(command)| Self(command))
    }
}
