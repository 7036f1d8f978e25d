//! What a cast of a text makes missing, and how to see how much that is.

/// What follows a form with `TRY_CAST(text AS target)`, where `text` is a column or expression and `kind` what it should be, as in `a number`: the
/// values that the form drops, and the condition that counts them. It is the same at all tiers.
pub(crate) fn unread_texts(text: &str, kind: &str, target: &str) -> String {
    format!(
        "; a text that is not {kind} is missing then, and `SELECT count(*) … WHERE {text} IS NOT NULL AND TRY_CAST({text} AS {target}) IS NULL` counts those"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_texts_are_named_with_the_condition_that_counts_them() {
        assert_eq!(
            unread_texts("v", "a number", "DOUBLE"),
            "; a text that is not a number is missing then, and `SELECT count(*) … WHERE v IS NOT NULL AND TRY_CAST(v AS DOUBLE) IS NULL` counts those"
        );
    }
}
