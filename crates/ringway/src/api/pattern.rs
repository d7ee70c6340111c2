//! Globs over channel names, as the reference server has them: `*` is any text, `?` any one character, `[abc]`, `[a-z]` and `[!a-z]` one of
//! some, or not of them, `{news,chat:*}` one of several, and a backslash takes its meaning from what follows it.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};
use ringway_protocol::api::ApiError;

/// Longest pattern in bytes: one is compiled for each request. Names are a quarter of that at most. A longer one is error 107.
const PATTERN_BYTES: usize = 1024;

/// Most memory of a compiled one, and of what matching remembers. What would take more is error 107; none of usual length comes near.
const COMPILED_BYTES: usize = 4 << 20;

/// Which channels are wanted.
#[derive(Debug)]
pub(super) struct Pattern(Option<Regex>);

impl Pattern {
    /// Reads a pattern; the empty one is for all.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] if it is none, or too long.
    pub(super) fn new(pattern: &str) -> Result<Self, ApiError> {
        if pattern.is_empty() {
            return Ok(Self(None));
        }
        let expression = (pattern.len() <= PATTERN_BYTES).then(|| expression(pattern)).flatten();
        let mut builder = RegexBuilder::new(&expression.ok_or(ApiError::BadRequest)?);
        builder.dot_matches_new_line(true).size_limit(COMPILED_BYTES).dfa_size_limit(COMPILED_BYTES);
        builder.build().map(|regex| Self(Some(regex))).map_err(|_| ApiError::BadRequest)
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

/// The regular expression of a glob. `None` if it ends in the middle of something.
fn expression(glob: &str) -> Option<String> {
    let mut regex = String::from("^");
    let mut chars = glob.chars().peekable();
    let mut depth = 0_u32;
    while let Some(char) = chars.next() {
        match char {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => class(&mut chars, &mut regex)?,
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            ',' if depth > 0 => regex.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                regex.push(')');
            }
            '\\' => literal(chars.next()?, &mut regex),
            other => literal(other, &mut regex),
        }
    }
    regex.push('$');
    (depth == 0).then_some(regex)
}

/// What stands between brackets. Ranges are left to the expression, which knows which are none.
fn class(chars: &mut Peekable<Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if chars.next_if_eq(&'!').is_some() {
        regex.push('^');
    }
    let mut is_first = true;
    loop {
        match chars.next()? {
            ']' => break,
            // At an end it is one of the characters.
            '-' if is_first || chars.peek() == Some(&']') => literal('-', regex),
            '-' => regex.push('-'),
            '\\' => literal(chars.next()?, regex),
            other => literal(other, regex),
        }
        is_first = false;
    }
    regex.push(']');
    (!is_first).then_some(())
}

fn literal(char: char, regex: &mut String) {
    let mut buffer = [0; 4];
    regex.push_str(&regex::escape(char.encode_utf8(&mut buffer)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, name) in [
            ("", "news"),
            ("*", "news"),
            ("n*s", "news"),
            ("n?ws", "news"),
            ("*:*", "a:b"),
            ("*aab", "aaab"),
            ("*", "a/b"),
            ("**", "a:b"),
            ("?", "é"),
            ("[é-ü]", "ö"),
            ("{a,b}", "b"),
            ("{a,}", "a"),
            ("{a,{b,ab}}", "ab"),
            ("{news,chat:*}", "chat:1"),
            ("[bc]*", "chat"),
            ("[a-c]1", "b1"),
            ("[!a-c]1", "d1"),
            ("[-a]", "-"),
            ("[ab-]", "-"),
            ("[^a]", "^"),
            ("[&&a]", "&"),
            ("a\\*", "a*"),
            ("a}", "a}"),
            ("a]", "a]"),
            ("a,b", "a,b"),
            (".*", ".a"),
            ("$user#1|2", "$user#1|2"),
        ] {
            assert!(Pattern::new(pattern).unwrap().matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn globs_match_the_whole_name_or_not() {
        for (pattern, name) in [
            ("n?s", "news"),
            ("n*", "old"),
            ("*b", "abc"),
            ("?", ""),
            ("N*", "news"),
            ("{a,b}", "c"),
            ("a{b,c}d", "ab"),
            ("[bc]*", "news"),
            ("[!a-c]1", "b1"),
            ("[^a]", "b"),
            ("a\\*", "ab"),
            (".", "a"),
        ] {
            assert!(!Pattern::new(pattern).unwrap().matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        let deep = "{".repeat(500) + &"}".repeat(500);
        for pattern in ["[", "[]", "[!]", "[a", "{a", "a\\", "[b-a]", &deep, &"a".repeat(1025)] {
            assert_eq!(Pattern::new(pattern).err(), Some(ApiError::BadRequest), "{pattern}");
        }
        // Many stars cost no more than their number.
        let many = Pattern::new(&("*a".repeat(500) + "b")).unwrap();
        assert!(!many.matches(&"a".repeat(255)));
    }
}
