//! What the words of options mean.

use concordat_protocol::schema::ColumnKind;

use super::error::IngestError;

/// The words for kinds of columns.
const KINDS: [(&str, ColumnKind); 7] = [
    ("number", ColumnKind::Float),
    ("integer", ColumnKind::Int),
    ("text", ColumnKind::Text),
    ("date", ColumnKind::Date),
    ("time", ColumnKind::Timestamp),
    ("time-utc", ColumnKind::TimestampUtc),
    ("boolean", ColumnKind::Boolean),
];

/// The kind of column that a word states: `number`, `integer`, `text`, `date`, `time`, `time-utc` or `boolean`.
///
/// # Errors
/// [`IngestError::Notation`] for any other word.
pub fn column_kind(word: &str) -> Result<ColumnKind, IngestError> {
    KINDS
        .into_iter()
        .find(|(known, _)| *known == word)
        .map(|(_, kind)| kind)
        .ok_or(IngestError::Notation {
            option: "--type",
            expected: "`COLUMN=KIND`, where the kind is `number`, `integer`, `text`, `date`, `time`, `time-utc` or `boolean`",
        })
}

/// The character with which lines begin that are left out.
///
/// # Errors
/// [`IngestError::Notation`] for anything but one ASCII character that can be seen.
pub fn comment_sign(text: &str) -> Result<u8, IngestError> {
    match text.as_bytes() {
        [sign] if sign.is_ascii_graphic() && *sign != b'"' => Ok(*sign),
        _ => Err(IngestError::Notation {
            option: "--comment",
            expected: "one ASCII character, such as `#`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word() {
        for kind in [
            ColumnKind::Int,
            ColumnKind::Float,
            ColumnKind::Boolean,
            ColumnKind::Date,
            ColumnKind::Timestamp,
            ColumnKind::TimestampUtc,
            ColumnKind::Text,
        ] {
            let (word, _) = KINDS.into_iter().find(|(_, known)| *known == kind).unwrap();
            assert_eq!(column_kind(word).unwrap(), kind);
        }
        for word in ["", "numbers", "Number", "string"] {
            assert!(column_kind(word).is_err(), "{word}");
        }
    }

    #[test]
    fn comments_begin_with_one_character() {
        assert_eq!(comment_sign("#").unwrap(), b'#');
        for text in ["", "##", " ", "\n", "é", "\""] {
            assert!(comment_sign(text).is_err(), "{text:?}");
        }
    }
}
