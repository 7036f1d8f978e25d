//! Names of columns with `*` and `?`.

use std::fmt;

/// A name in which `*` stands for any characters and `?` for one. Upper and lower case are the same, as in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    /// The parts between the stars, in lower case.
    parts: Vec<Vec<char>>,
}

impl Pattern {
    /// `None` if the text is a name itself.
    pub(super) fn new(text: &str) -> Option<Self> {
        text.contains(['*', '?']).then(|| Self {
            text: text.to_owned(),
            parts: text.split('*').map(lower).collect(),
        })
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = lower(name);
        let Some((first, others)) = self.parts.split_first() else {
            return false;
        };
        let Some((last, middle)) = others.split_last() else {
            return is_alike(first, &name);
        };
        let Some(mut rest) = after(&name, first) else {
            return false;
        };
        for part in middle {
            // The first place is as good as any later one: what follows it has more characters left.
            let found = (0..=rest.len()).find_map(|at| after(rest.get(at..)?, part));
            match found {
                Some(left) => rest = left,
                None => return false,
            }
        }
        let end = rest.len().checked_sub(last.len()).and_then(|at| rest.get(at..));
        end.is_some_and(|end| is_alike(last, end))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What follows `part` at the beginning of a name; `None` if the name begins otherwise.
fn after<'a>(name: &'a [char], part: &[char]) -> Option<&'a [char]> {
    let (start, rest) = name.split_at_checked(part.len())?;
    is_alike(part, start).then_some(rest)
}

/// Whether the characters are those of a part without stars.
fn is_alike(part: &[char], characters: &[char]) -> bool {
    let mut pairs = part.iter().zip(characters);
    part.len() == characters.len() && pairs.all(|(pattern, character)| *pattern == '?' || pattern == character)
}

fn lower(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_matches_whole_names_in_any_case() {
        for (pattern, matching, others) in [
            (
                "lab_*",
                &["lab_", "lab_na", "LAB_K", "lab_*"][..],
                &["lab", "xlab_k", "_lab_"][..],
            ),
            ("*_id", &["_id", "visit_id", "a_id_id"], &["id", "visit_id2"]),
            ("*", &["", "a", "größe"], &[]),
            ("a?c", &["abc", "aßc", "a病c"], &["ac", "abbc", "abcd"]),
            ("?", &["é", "病"], &["", "ab"]),
            (
                "q??_*_x",
                &["q01_a_x", "Q99__x", "q12_x_x_x"],
                &["q1_a_x", "q01_x", "q01_a_y"],
            ),
            ("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "a", "b"]),
            ("*ab", &["ab", "abab", "aab"], &["aba", "b"]),
            ("ab*ab", &["abab", "abxab"], &["ab", "aba"]),
            ("**", &["", "a"], &[]),
            ("GRÖ*", &["größe", "Gröbel"], &["grosse"]),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert_eq!(read.to_string(), pattern);
            for name in matching {
                assert!(read.matches(name), "{pattern} {name}");
            }
            for name in others {
                assert!(!read.matches(name), "{pattern} {name}");
            }
        }
        assert_eq!(Pattern::new("größe"), None);
    }

    #[test]
    fn pattern_of_many_stars_is_matched_quickly() {
        let pattern = Pattern::new(&"a*".repeat(500)).unwrap();
        assert!(!pattern.matches(&"a".repeat(63)));
        assert!(pattern.matches(&"a".repeat(500)));
    }
}
