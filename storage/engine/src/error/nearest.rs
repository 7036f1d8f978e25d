//! Names that a person may have meant, and names that there are.

use std::fmt;

/// Maximum number of names that are suggested.
const MOST: usize = 3;
/// Maximum number of names that are listed.
const MOST_LISTED: usize = 10;
/// What names begin with that the engine adds, and that no query may use.
const INTERNAL: &str = "__concordat";
/// Maximum length of a name that is compared, in characters.
const LONGEST: usize = 64;

/// Names that there are, the nearest to another one first. What is not visible is not in it, so that it does not show that it exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearestNames {
    first: Vec<String>,
    more: usize,
}

impl NearestNames {
    /// At most ten of the `visible` names, and how many more there are.
    pub fn of<'a>(name: &str, visible: impl IntoIterator<Item = &'a str>) -> Self {
        let names = by_distance(name, visible);
        let first: Vec<String> = names
            .iter()
            .take(MOST_LISTED)
            .map(|(_, known)| (*known).to_owned())
            .collect();
        Self {
            more: names.len().saturating_sub(first.len()),
            first,
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

impl fmt::Display for NearestNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.first.join("`, `"))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The visible names that differ from `name` in case or in few letters, the nearest first.
pub fn similar_names<'a>(name: &str, visible: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let most = (name.to_lowercase().chars().take(LONGEST).count() / 3).min(2);
    let found = by_distance(name, visible).into_iter();
    found
        .take_while(|(distance, _)| *distance <= most)
        .take(MOST)
        .map(|(_, known)| known.to_owned())
        .collect()
}

/// The visible names with how much they differ from `name`, the nearest first, each once.
fn by_distance<'a>(name: &str, visible: impl IntoIterator<Item = &'a str>) -> Vec<(usize, &'a str)> {
    let lowered = |name: &str| -> Vec<char> { name.to_lowercase().chars().take(LONGEST).collect() };
    let wanted = lowered(name);
    let visible = visible.into_iter().filter(|known| !known.starts_with(INTERNAL));
    let mut found: Vec<(usize, &str)> = visible
        .map(|known| (distance(&wanted, &lowered(known)), known))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// How many letters have to be inserted, removed, replaced or exchanged with the next.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut earlier: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (at, known) in other.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX);
            let replaced = cell(&before, at).saturating_add(usize::from(letter != known));
            let removed = cell(&before, at.saturating_add(1)).saturating_add(1);
            let inserted = cell(&current, at).saturating_add(1);
            let crossed = row > 0 && at > 0 && one.get(row - 1) == Some(known) && other.get(at - 1) == Some(letter);
            let exchanged = if crossed {
                cell(&earlier, at - 1).saturating_add(1)
            } else {
                usize::MAX
            };
            current.push(replaced.min(removed).min(inserted).min(exchanged));
        }
        earlier = std::mem::replace(&mut before, current);
    }
    before.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_differ_in_case_or_few_letters() {
        let visible = ["age", "birth_date", "GENDER", "chol"];
        for (name, expected) in [
            ("gender", vec!["GENDER"]),
            ("birthdate", vec!["birth_date"]),
            ("brith_date", vec!["birth_date"]),
            ("ag", vec![]),
            ("aeg", vec!["age"]),
            ("cholesterol", vec![]),
            ("missing", vec![]),
        ] {
            assert_eq!(similar_names(name, visible), expected, "{name}");
        }
    }

    #[test]
    fn names_that_there_are_begin_with_the_nearest() {
        let listed = |name: &str, visible: &[&str]| NearestNames::of(name, visible.iter().copied()).to_string();
        let visible = ["weight", "age", "chol", "age", "__concordat_ordinal"];
        assert_eq!(listed("aeg", &visible), "`age`, `chol`, `weight`");
        assert_eq!(listed("wieght", &visible), "`weight`, `age`, `chol`");
        let many: Vec<String> = (0..14).map(|number| format!("c{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shown = listed("c13", &many);
        assert!(shown.starts_with("`c13`, "), "{shown}");
        assert!(shown.ends_with(" and 4 more"), "{shown}");
        assert_eq!(shown.matches('`').count(), 20, "{shown}");
        assert!(NearestNames::of("age", []).is_empty());
    }
}
