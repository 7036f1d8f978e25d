//! Names that a person may have meant.

/// Maximum number of names that are suggested.
const MOST: usize = 3;
/// Maximum length of a name that is compared, in characters.
const LONGEST: usize = 64;

/// The visible names that differ from `name` in case or in few letters, the nearest first.
pub fn similar_names<'a>(name: &str, visible: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(LONGEST).collect();
    let most = (wanted.len() / 3).min(2);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for known in visible {
        let letters: Vec<char> = known.to_lowercase().chars().take(LONGEST).collect();
        let distance = distance(&wanted, &letters);
        if distance <= most {
            found.push((distance, known));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .take(MOST)
        .map(|(_, known)| known.to_owned())
        .collect()
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
}
