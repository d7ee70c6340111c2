//! Globs over channel names: `*` is any text, `?` any one character.

/// Whether the whole name matches.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and how far it reaches so far: on a mismatch it takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(place) {
            Some('*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(c) if *c == '?' || *c == name[at] => (at, place) = (at + 1, place + 1),
            _ => match star {
                Some((star_at, reach)) => {
                    star = Some((star_at, reach + 1));
                    (at, place) = (reach + 1, star_at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[place..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, name) in
            [("*", ""), ("*", "news"), ("n*s", "news"), ("n?ws", "news"), ("*:*", "a:b"), ("*aab", "aaab")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "news"), ("n?s", "news"), ("n*", "old"), ("*b", "abc"), ("?", "")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
