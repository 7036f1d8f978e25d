//! The permissions that are added and removed between two policy sets.

use std::collections::BTreeSet;

use concordat_protocol::policy_set::{FileDiff, PolicyDiff, PolicyFile, PolicySources};

use crate::load::Policy;
use crate::permitted;
use crate::sample::{RequestSpace, Sample};

/// Most lines of each list that are shown.
const MAX_SHOWN: usize = 500;

/// Compares two sets over `space`.
pub fn diff(before: (&PolicySources, &Policy), after: (&PolicySources, &Policy), space: &RequestSpace) -> PolicyDiff {
    let sample = Sample::new(space, &[before.1, after.1]);
    let (old, cut) = permitted::permitted(before.1, &sample);
    let (new, _) = permitted::permitted(after.1, &sample);
    let compared = new.len();
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for (line, allowed) in new {
        let was = old.get(&line).copied().unwrap_or(false);
        match (was, allowed) {
            (false, true) => opens.push(line),
            (true, false) => closes.push(line),
            (true, true) | (false, false) => {}
        }
    }
    // Everything else for a purpose depends on the purpose, and may be cut off.
    for lines in [&mut opens, &mut closes] {
        lines.sort_by_key(|line| !line.starts_with("use-for-purpose"));
    }
    let (opens_in_all, closes_in_all) = (opens.len(), closes.len());
    opens.truncate(MAX_SHOWN);
    closes.truncate(MAX_SHOWN);
    PolicyDiff {
        opens,
        closes,
        opens_in_all,
        closes_in_all,
        never_allowed: permitted::overruled(after.1, &sample),
        compared,
        sample: sample.contents,
        incomplete: cut,
        settings: settings(before.0, after.0),
        text: texts(&before.0.files, &after.0.files),
        from: before.1.digest(),
        to: after.1.digest(),
    }
}

fn settings(before: &PolicySources, after: &PolicySources) -> Vec<String> {
    let read = |sources: &PolicySources| serde_json::to_value(sources.settings).unwrap_or_default();
    let before = read(before);
    let after = read(after);
    let keys: BTreeSet<&String> = before
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys())
        .collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| {
            let shown = |value: Option<&serde_json::Value>| value.map_or("-".to_owned(), ToString::to_string);
            format!("{key}: {} becomes {}", shown(before.get(key)), shown(after.get(key)))
        })
        .collect()
}

/// Files without a difference are left out.
fn texts(before: &[PolicyFile], after: &[PolicyFile]) -> Vec<FileDiff> {
    let names: BTreeSet<&String> = before.iter().chain(after).map(|file| &file.name).collect();
    let find = |files: &[PolicyFile], name: &String| {
        let file = files.iter().find(|file| file.name == *name);
        file.map(|file| file.text.clone()).unwrap_or_default()
    };
    names
        .into_iter()
        .filter_map(|name| {
            let before = find(before, name);
            let after = find(after, name);
            (before != after).then(|| FileDiff {
                file: name.clone(),
                lines: lines(&before, &after),
            })
        })
        .collect()
}

/// Both texts line by line. Their common beginning and end are found first. The rest is compared by longest common subsequence or, if
/// that would take too much memory, shown as replaced.
fn lines(before: &str, after: &str) -> Vec<String> {
    const MAX_CELLS: usize = 4_000_000;
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let old = old.get(head..).unwrap_or_default();
    let new = new.get(head..).unwrap_or_default();
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let old = old.get(..old.len().saturating_sub(tail)).unwrap_or_default();
    let new = new.get(..new.len().saturating_sub(tail)).unwrap_or_default();
    if old.len().saturating_mul(new.len()) > MAX_CELLS {
        let removed = old.iter().map(|line| format!("-{line}"));
        return removed.chain(new.iter().map(|line| format!("+{line}"))).collect();
    }
    subsequence(old, new)
}

fn subsequence(old: &[&str], new: &[&str]) -> Vec<String> {
    // `common[i][j]`: length of the longest common subsequence of old[i..] and new[j..].
    let mut common = vec![vec![0_u32; new.len().saturating_add(1)]; old.len().saturating_add(1)];
    let at = |common: &[Vec<u32>], i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            let length = if left == right {
                at(&common, i + 1, j + 1).saturating_add(1)
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = length;
            }
        }
    }
    let mut i = 0;
    let mut j = 0;
    let mut lines = Vec::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(left), Some(right)) if left == right => {
                lines.push(format!(" {left}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(format!("-{left}"));
                i += 1;
            }
            (_, Some(right)) => {
                lines.push(format!("+{right}"));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}
