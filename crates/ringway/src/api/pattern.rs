//! Globs over channel names, as the reference server has them: `*` is any text, `?` any one character, `[abc]`, `[a-z]` and `[!a-z]` one of
//! some, or not of them, `{news,chat:*}` one of several, and a backslash takes its meaning from what follows it.

use globset::{GlobBuilder, GlobMatcher};
use ringway_protocol::api::ApiError;

/// Longest pattern in bytes: one is compiled for each request. Names are a quarter of that at most. A longer one is error 107.
const PATTERN_BYTES: usize = 1024;

/// Which channels are wanted.
#[derive(Debug)]
pub(super) struct Pattern(Option<GlobMatcher>);

impl Pattern {
    /// Reads a pattern; the empty one is for all.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] if it is none, or too long.
    pub(super) fn new(pattern: &str) -> Result<Self, ApiError> {
        if pattern.is_empty() {
            return Ok(Self(None));
        }
        if pattern.len() > PATTERN_BYTES {
            return Err(ApiError::BadRequest);
        }
        let glob = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build();
        glob.map(|glob| Self(Some(glob.compile_matcher()))).map_err(|_| ApiError::BadRequest)
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|glob| glob.is_match(name))
    }
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
            ("a*", "a/../b"),
            ("?", "é"),
            ("**", "a:b"),
            ("{a,b}", "b"),
            ("{news,chat:*}", "chat:1"),
            ("[bc]*", "chat"),
            ("[a-c]1", "b1"),
            ("[!a-c]1", "d1"),
            ("a\\*", "a*"),
            (".*", ".a"),
        ] {
            assert!(Pattern::new(pattern).unwrap().matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("n?s", "news"),
            ("n*", "old"),
            ("*b", "abc"),
            ("?", ""),
            ("N*", "news"),
            ("{a,b}", "c"),
            ("[bc]*", "news"),
            ("[!a-c]1", "b1"),
            ("a\\*", "ab"),
        ] {
            assert!(!Pattern::new(pattern).unwrap().matches(name), "{pattern} {name}");
        }
        for pattern in ["[", "{a", "a}", "[b-a]", &"a".repeat(1025)] {
            assert_eq!(Pattern::new(pattern).err(), Some(ApiError::BadRequest), "{pattern}");
        }
        // What is nested or repeated costs no more than its length.
        let many = Pattern::new(&"*a".repeat(500)).unwrap();
        assert!(!many.matches(&"a".repeat(255)));
    }
}
