//! Filters by tags: which publications of a channel a subscriber is told.
//!
//! A filter is a tree: leaves compare the value of one tag, the rest is `and`, `or` and `not`. A tag that is not there has no value, and
//! only `nex` (and `neq`, `nin`) hold for it.

use std::borrow::Cow;

use serde::Deserialize;

/// Nodes of one filter. More are error 107.
const MOST_NODES: usize = 64;

/// Levels of one filter. More are error 107.
const MOST_LEVELS: usize = 8;

/// Bytes of all its keys and values. More are error 107.
const MOST_BYTES: usize = 4 << 10;

/// A filter that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Node);

/// It makes no sense, or is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no filter by tags, or has more than {MOST_NODES} nodes, {MOST_LEVELS} levels or {MOST_BYTES} bytes")]
pub struct NoFilter;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Leaf { key: Box<str>, test: Test },
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists(bool),
    /// It is one of these, or none.
    In(Vec<Box<str>>, bool),
    Starts(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
    /// As a number it lies on this side of one.
    Number(Side, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// As it is asked for.
#[derive(Deserialize)]
#[serde(default)]
struct Asked<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    cmp: Cow<'a, str>,
    #[serde(borrow)]
    val: Cow<'a, str>,
    vals: Vec<String>,
    nodes: Vec<Self>,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        let none = || Cow::Borrowed("");
        Self { op: none(), key: none(), cmp: none(), val: none(), vals: Vec::new(), nodes: Vec::new() }
    }
}

impl Filter {
    /// Reads it from JSON: `{"op","nodes"}` or `{"key","cmp","val","vals"}`.
    ///
    /// # Errors
    /// [`NoFilter`].
    pub fn read(json: &[u8]) -> Result<Self, NoFilter> {
        if json.len() > 2 * MOST_BYTES {
            return Err(NoFilter);
        }
        let asked: Asked<'_> = serde_json::from_slice(json).map_err(|_| NoFilter)?;
        let mut room = Room { nodes: MOST_NODES, bytes: MOST_BYTES };
        asked.node(&mut room, MOST_LEVELS).map(Self)
    }

    /// Whether a publication with these tags is let through.
    pub fn lets<'a>(&self, tags: &(impl Iterator<Item = (&'a str, &'a str)> + Clone)) -> bool {
        self.0.lets(tags)
    }

    /// Roughly what it holds in memory.
    pub fn size(&self) -> usize {
        self.0.size()
    }
}

/// What a filter may still have.
struct Room {
    nodes: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), NoFilter> {
        self.nodes = self.nodes.checked_sub(1).ok_or(NoFilter)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(NoFilter)?;
        Ok(())
    }
}

impl Asked<'_> {
    fn node(&self, room: &mut Room, levels: usize) -> Result<Node, NoFilter> {
        let levels = levels.checked_sub(1).ok_or(NoFilter)?;
        room.take(self.key.len() + self.val.len() + self.vals.iter().map(String::len).sum::<usize>())?;
        let mut nodes = || self.nodes.iter().map(|node| node.node(room, levels)).collect::<Result<Vec<_>, _>>();
        Ok(match &*self.op {
            "" => Node::Leaf { key: self.key().ok_or(NoFilter)?, test: self.test()? },
            "and" if !self.nodes.is_empty() => Node::All(nodes()?),
            "or" if !self.nodes.is_empty() => Node::Any(nodes()?),
            "not" if self.nodes.len() == 1 => Node::Not(Box::new(nodes()?.pop().ok_or(NoFilter)?)),
            _ => return Err(NoFilter),
        })
    }

    fn key(&self) -> Option<Box<str>> {
        (!self.key.is_empty()).then(|| self.key.as_ref().into())
    }

    fn test(&self) -> Result<Test, NoFilter> {
        let val = || Box::<str>::from(self.val.as_ref());
        let vals = || self.vals.iter().map(|val| val.as_str().into()).collect();
        let number =
            |side| self.val.parse().ok().filter(|number: &f64| number.is_finite()).map(|at| Test::Number(side, at));
        Ok(match &*self.cmp {
            "ex" => Test::Exists(true),
            "nex" => Test::Exists(false),
            "eq" => Test::In(vec![val()], true),
            "neq" => Test::In(vec![val()], false),
            "in" if !self.vals.is_empty() => Test::In(vals(), true),
            "nin" if !self.vals.is_empty() => Test::In(vals(), false),
            "sw" => Test::Starts(val()),
            "ew" => Test::Ends(val()),
            "ct" => Test::Contains(val()),
            "lt" => number(Side::Less).ok_or(NoFilter)?,
            "lte" => number(Side::LessOrEqual).ok_or(NoFilter)?,
            "gt" => number(Side::Greater).ok_or(NoFilter)?,
            "gte" => number(Side::GreaterOrEqual).ok_or(NoFilter)?,
            _ => return Err(NoFilter),
        })
    }
}

impl Node {
    fn lets<'a>(&self, tags: &(impl Iterator<Item = (&'a str, &'a str)> + Clone)) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.lets(tags)),
            Self::Any(nodes) => nodes.iter().any(|node| node.lets(tags)),
            Self::Not(node) => !node.lets(tags),
            Self::Leaf { key, test } => {
                test.holds(tags.clone().find(|(known, _)| *known == &**key).map(|(_, value)| value))
            }
        }
    }

    fn size(&self) -> usize {
        let below = match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::size).sum(),
            Self::Not(node) => node.size(),
            Self::Leaf { key, test } => key.len() + test.size(),
        };
        size_of::<Self>() + below
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Exists(is) => value.is_some() == *is,
            Self::In(all, is) => value.is_some_and(|value| all.iter().any(|one| **one == *value)) == *is,
            Self::Starts(part) => value.is_some_and(|value| value.starts_with(&**part)),
            Self::Ends(part) => value.is_some_and(|value| value.ends_with(&**part)),
            Self::Contains(part) => value.is_some_and(|value| value.contains(&**part)),
            Self::Number(side, at) => {
                value.and_then(|value| value.parse().ok()).is_some_and(|value| side.holds(value, *at))
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Exists(_) | Self::Number(..) => 0,
            Self::In(all, _) => all.iter().map(|one| size_of::<Box<str>>() + one.len()).sum(),
            Self::Starts(part) | Self::Ends(part) | Self::Contains(part) => part.len(),
        }
    }
}

impl Side {
    fn holds(self, value: f64, at: f64) -> bool {
        match self {
            Self::Less => value < at,
            Self::LessOrEqual => value <= at,
            Self::Greater => value > at,
            Self::GreaterOrEqual => value >= at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(filter: &str, tags: &[(&str, &str)]) -> bool {
        Filter::read(filter.as_bytes()).unwrap().lets(&tags.iter().copied())
    }

    #[test]
    fn a_leaf_compares_one_tag() {
        let tags = [("sport", "football"), ("goals", "3"), ("half", "1.5")];
        let table = [
            (r#"{"key":"sport","cmp":"eq","val":"football"}"#, true),
            (r#"{"key":"sport","cmp":"eq","val":"foot"}"#, false),
            (r#"{"key":"sport","cmp":"neq","val":"foot"}"#, true),
            (r#"{"key":"other","cmp":"neq","val":"foot"}"#, true),
            (r#"{"key":"other","cmp":"eq","val":""}"#, false),
            (r#"{"key":"sport","cmp":"in","vals":["a","football"]}"#, true),
            (r#"{"key":"sport","cmp":"nin","vals":["a","football"]}"#, false),
            (r#"{"key":"other","cmp":"nin","vals":["a"]}"#, true),
            (r#"{"key":"sport","cmp":"ex"}"#, true),
            (r#"{"key":"other","cmp":"ex"}"#, false),
            (r#"{"key":"other","cmp":"nex"}"#, true),
            (r#"{"key":"sport","cmp":"sw","val":"foot"}"#, true),
            (r#"{"key":"sport","cmp":"ew","val":"ball"}"#, true),
            (r#"{"key":"sport","cmp":"ct","val":"otba"}"#, true),
            (r#"{"key":"sport","cmp":"ct","val":"tennis"}"#, false),
            (r#"{"key":"goals","cmp":"gt","val":"2"}"#, true),
            (r#"{"key":"goals","cmp":"gte","val":"3"}"#, true),
            (r#"{"key":"goals","cmp":"lt","val":"3"}"#, false),
            (r#"{"key":"half","cmp":"lte","val":"1.5"}"#, true),
            (r#"{"key":"sport","cmp":"lt","val":"3"}"#, false),
        ];
        for (filter, is_let) in table {
            assert_eq!(lets(filter, &tags), is_let, "{filter}");
        }
    }

    #[test]
    fn leaves_are_put_together() {
        let (a, b) = (r#"{"key":"a","cmp":"ex"}"#, r#"{"key":"b","cmp":"ex"}"#);
        let of = |op: &str, nodes: &str| format!(r#"{{"op":"{op}","nodes":[{nodes}]}}"#);
        let both = [("a", ""), ("b", "")];
        assert!(lets(&of("and", &format!("{a},{b}")), &both) && !lets(&of("and", &format!("{a},{b}")), &both[..1]));
        assert!(lets(&of("or", &format!("{a},{b}")), &both[1..]) && !lets(&of("or", &format!("{a},{b}")), &[]));
        assert!(lets(&of("not", a), &[]) && !lets(&of("not", a), &both));
    }

    #[test]
    fn what_makes_no_sense_or_is_too_large_is_refused() {
        let deep = (0..MOST_LEVELS)
            .fold(r#"{"key":"a","cmp":"ex"}"#.to_owned(), |node, _| format!(r#"{{"op":"not","nodes":[{node}]}}"#));
        let wide = format!(r#"{{"op":"or","nodes":[{}]}}"#, vec![r#"{"key":"a","cmp":"ex"}"#; MOST_NODES].join(","));
        let long = format!(r#"{{"key":"a","cmp":"eq","val":"{}"}}"#, "x".repeat(MOST_BYTES));
        for filter in [
            "",
            "[]",
            "1",
            "{}",
            r#"{"key":"a"}"#,
            r#"{"cmp":"ex"}"#,
            r#"{"key":"a","cmp":"nope"}"#,
            r#"{"key":"a","cmp":"in"}"#,
            r#"{"key":"a","cmp":"lt","val":"x"}"#,
            r#"{"key":"a","cmp":"lt","val":"NaN"}"#,
            r#"{"op":"and"}"#,
            r#"{"op":"not","nodes":[]}"#,
            r#"{"op":"xor","nodes":[{"key":"a","cmp":"ex"}]}"#,
            &deep,
            &wide,
            &long,
        ] {
            assert_eq!(Filter::read(filter.as_bytes()), Err(NoFilter), "{filter}");
        }
    }
}
