//! Names and numbers in the text of an error.

/// Names in backticks, the first twenty of them.
pub(super) fn list(names: &[String]) -> String {
    listed(names.iter().map(|name| format!("`{name}`")))
}

/// Columns with what they contain, the first twenty of them.
pub(super) fn unsupported(columns: &[(String, &'static str)]) -> String {
    listed(columns.iter().map(|(name, what)| format!("`{name}` ({what})")))
}

fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 20;
    let more = items.len().saturating_sub(SHOWN);
    let mut text = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Which names of a file become the same.
pub(super) fn same_names(names: &[Vec<String>]) -> String {
    listed(
        names
            .iter()
            .map(|same| format!("{} would have the same name", list(same))),
    )
}

/// Numbers of lines.
pub(super) fn lines(lines: &[u64]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
