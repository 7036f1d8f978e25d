//! The note about columns that no one is shown.

/// Maximum number of columns that a note names.
const SHOWN_NAMES: usize = 20;

/// What a steward should know of quasi-identifiers that cannot be generalized; `None` without any.
pub(crate) fn withheld_note(columns: &[String]) -> Option<String> {
    (!columns.is_empty()).then(|| {
        format!(
            "shown to no one, users of this institution included, unless a policy of your own releases pseudonyms of quasi-identifiers: {}; \
             a quasi-identifier is released generalized, and only dates (as their year) and ages (as bands; whole numbers in a column with \
             the word `age` in its name) can be; for dates that were read as text, import again with `--date-format`; otherwise import \
             coarser values, such as a region, and classify these by what they reveal, or classify the column as direct-identifier, which \
             is released as a pseudonym at the tier records",
            listed(columns)
        )
    })
}

/// Names in a sentence, the first ones of many.
pub(crate) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_NAMES).map(String::as_str);
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_NAMES) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
