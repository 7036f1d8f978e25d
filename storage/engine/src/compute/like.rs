//! Patterns of `LIKE` and `ILIKE`, without an escape character.

/// A pattern.
#[derive(Debug)]
pub(super) struct Like {
    parts: Vec<Part>,
    any_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `%`
    Many,
    /// `_`
    One,
    Same(char),
}

impl Like {
    pub(super) fn new(pattern: &str, any_case: bool) -> Self {
        let part = |character| match character {
            '%' => Part::Many,
            '_' => Part::One,
            other => Part::Same(other),
        };
        let parts = characters(pattern, any_case).into_iter().map(part).collect();
        Self { parts, any_case }
    }

    /// Whether the whole text matches. The work is at most the product of both lengths.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text = characters(text, self.any_case);
        let mut at = 0;
        let mut part = 0;
        // Where the last `%` is, and up to where it reaches.
        let mut open: Option<(usize, usize)> = None;
        while let Some(character) = text.get(at) {
            match self.parts.get(part) {
                Some(Part::Many) => {
                    open = Some((part, at));
                    part += 1;
                }
                Some(Part::One) => {
                    at += 1;
                    part += 1;
                }
                Some(Part::Same(same)) if same == character => {
                    at += 1;
                    part += 1;
                }
                Some(Part::Same(_)) | None => {
                    let Some((star, reached)) = open else {
                        return false;
                    };
                    at = reached + 1;
                    part = star + 1;
                    open = Some((star, at));
                }
            }
        }
        self.parts.iter().skip(part).all(|part| *part == Part::Many)
    }
}

fn characters(text: &str, any_case: bool) -> Vec<char> {
    if any_case {
        text.chars().flat_map(char::to_lowercase).collect()
    } else {
        text.chars().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{Scalar, StringArray},
        compute::{ilike, like},
    };
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn like_matches_as_the_library_does(pattern in "[ab%_]{0,6}", text in "[abAB\u{e9}]{0,6}", any_case: bool) {
            let texts = StringArray::from(vec![text.as_str()]);
            let patterns = Scalar::new(StringArray::from(vec![pattern.as_str()]));
            let expected = if any_case { ilike(&texts, &patterns) } else { like(&texts, &patterns) };
            prop_assert_eq!(Like::new(&pattern, any_case).matches(&text), expected.unwrap().value(0));
        }
    }

    #[test]
    fn like_of_characters_with_several_bytes_counts_characters() {
        assert!(Like::new("_ő%", false).matches("nőgyógyászat"));
        assert!(!Like::new("_ő", false).matches("nőgyógyászat"));
        assert!(Like::new("%ÁSZ%", true).matches("nőgyógyászat"));
    }
}
