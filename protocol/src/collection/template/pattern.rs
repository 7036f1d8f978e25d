//! Names with `*`, and the spellings of columns in the headers of files.

use crate::ids::ColumnName;

/// Longest pattern or spelling, in characters.
const MAX_LEN: usize = 128;

/// The name of a dataset or column, or a pattern in which each `*` stands for any characters. Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

/// A text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` must be a name, in which each `*` stands for any characters")]
pub struct InvalidPattern {
    text: String,
}

impl Pattern {
    /// Checks that `text` is a name, apart from each `*`.
    ///
    /// # Errors
    /// [`InvalidPattern`] if it is empty, too long or contains other characters.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let lower = text.to_lowercase();
        let named = lower.chars().all(|c| c == '*' || crate::ids::is_in_column_name(c));
        if lower.is_empty() || !named || lower.chars().count() > MAX_LEN {
            let text = text.chars().take(64).collect();
            return Err(InvalidPattern { text });
        }
        Ok(Self(lower))
    }

    /// Whether it stands for several names.
    pub fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    /// The pattern in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is one of those that it stands for.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut left) = name.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first possible occurrence of each part leaves the most for those that follow.
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            match left.split_once(part) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(last)
    }
}

/// How else the header of a file may name a column: `date({name},'unixepoch')`. Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderSpelling {
    before: String,
    after: String,
}

impl HeaderSpelling {
    /// A spelling with `{name}` once, where the name of the column is.
    ///
    /// # Errors
    /// [`InvalidPattern`] if it has no `{name}`, has it twice, or is too long.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let lower = text.to_lowercase();
        match lower.split_once("{name}") {
            Some((before, after)) if !after.contains("{name}") && lower.chars().count() <= MAX_LEN => Ok(Self {
                before: before.to_owned(),
                after: after.to_owned(),
            }),
            Some(_) | None => Err(InvalidPattern {
                text: text.chars().take(64).collect(),
            }),
        }
    }

    /// Whether `header` names `column` in this spelling.
    pub fn names(&self, header: &str, column: &ColumnName) -> bool {
        let header = header.to_lowercase();
        let name = header
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_suffix(&self.after));
        name == Some(column.as_str().to_lowercase().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_matches_as_a_shell_does() {
        for (pattern, name, expected) in [
            ("person", "PERSON", true),
            ("person", "persons", false),
            ("*", "", true),
            ("*_value", "source_value", true),
            ("*_value", "value", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*b*", "xabab", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abxab", true),
            ("x**y", "xy", true),
            ("*é*", "CAFÉ_1", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
        for bad in ["", "a-b", "a b", "a?b", &"x".repeat(129)] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn header_spelling_has_the_name_once() {
        let spelling = HeaderSpelling::new("date({name},'unixepoch')").unwrap();
        let column = ColumnName::new("birth_date").unwrap();
        assert!(spelling.names("DATE(BIRTH_DATE,'unixepoch')", &column));
        assert!(!spelling.names("date(birth_dates,'unixepoch')", &column));
        assert!(HeaderSpelling::new("date").is_err() && HeaderSpelling::new("{name}{name}").is_err());
    }
}
