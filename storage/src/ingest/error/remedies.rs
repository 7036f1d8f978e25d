//! What to do about an error, where it depends on what was found.

use crate::ingest::{format::Numbering, rejects::Reason};

/// Code pages of DOS, which are not read, with their names for `iconv`.
const DOS_PAGES: [(&str, &str); 9] = [
    ("437", "CP437"),
    ("737", "CP737"),
    ("775", "CP775"),
    ("850", "CP850"),
    ("852", "CP852"),
    ("855", "CP855"),
    ("857", "CP857"),
    ("858", "CP858"),
    ("862", "CP862"),
];

/// What to state instead of the label of an encoding that is not read.
pub(super) fn encoding_to_state(label: &str) -> String {
    let number: String = label.chars().filter(char::is_ascii_digit).collect();
    let page = DOS_PAGES.iter().find(|(page, _)| *page == number);
    match page {
        Some((_, name)) => format!(
            "convert the file, such as with `iconv -f {name} -t UTF-8 FILE > NEW`, and import the new one without `--encoding`"
        ),
        None => "use a label such as `utf-8`, `windows-1252`, `iso-8859-15`, `macintosh` or `utf-16le`".to_owned(),
    }
}

/// What is wrong with a file of one column and no rows.
pub(super) fn no_table(refused: u64) -> String {
    if refused == 0 {
        return "has a single line with a single field, which is not a table; a table has a line with column names and rows below it"
            .to_owned();
    }
    format!(
        "has a first line with a single field, and none of the {refused} lines below it can be read as a single field; state what \
         separates the fields with `--delimiter`, and leave out lines above the table with `--skip-lines COUNT`"
    )
}

/// What else can be wrong if it is not clear whether the first line has names.
pub(super) fn beside_the_header(numbering: Numbering) -> &'static str {
    match numbering {
        Numbering::Lines => {
            ", and state the delimiter with `--delimiter` if it is not a comma, semicolon, tab, vertical bar, `^` or `~`"
        }
        Numbering::Rows => ", and leave out rows above the table with `--skip-lines COUNT`",
    }
}

/// What to do about refused rows. If most rows are refused, it is the layout that is wrong, and not the rows.
pub(super) fn about_refused(refused: u64, rows: u64, reason: Reason) -> &'static str {
    match (refused > rows, is_of_layout(reason)) {
        (true, true) => {
            "so many are refused that the file has another layout: state it with `--delimiter`, `--quote`, `--comment` or \
             `--skip-lines`, and look at the result with `concordat dataset inspect`"
        }
        (true, false) => "most rows are refused, so it is the file that has to be written again",
        (false, _) => "fix them, or skip them with `--skip-refused`",
    }
}

/// Whether the fields of a row were not found, rather than a value being refused.
fn is_of_layout(reason: Reason) -> bool {
    match reason {
        Reason::Ragged { .. }
        | Reason::UnclosedQuote { .. }
        | Reason::RowsInQuotes { .. }
        | Reason::QuotedTooLong { .. }
        | Reason::TextAfterQuote { .. }
        | Reason::FieldTooLong { .. }
        | Reason::RowTooLong => true,
        Reason::InvalidBytes { .. }
        | Reason::ZeroByte
        | Reason::InvalidText { .. }
        | Reason::NotJson { .. }
        | Reason::NotAnObject
        | Reason::RepeatedName { .. }
        | Reason::TooManyFields => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_is_not_proposed_if_most_rows_are_refused() {
        let ragged = Reason::Ragged { found: 3, expected: 2 };
        for reason in [ragged, Reason::NotAnObject, Reason::ZeroByte] {
            assert!(about_refused(1, 1, reason).contains("--skip-refused"));
            assert!(!about_refused(2, 1, reason).contains("--skip-refused"), "{reason}");
        }
        assert!(about_refused(2, 1, ragged).contains("--delimiter"));
    }

    #[test]
    fn code_pages_of_dos_are_to_be_converted() {
        for label in ["cp850", "CP-850", "ibm850", "850"] {
            assert!(encoding_to_state(label).contains("iconv -f CP850"), "{label}");
        }
        assert!(encoding_to_state("klingon").contains("windows-1252"));
    }
}
