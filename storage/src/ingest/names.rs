//! Column names that can be used in SQL.
//!
//! A name that is an identifier of up to 63 characters is not changed. Others are cleaned: lower case, runs of other
//! characters become one `_`, a leading digit gets a `_` before it. The inspection notes each cleaned name.

use std::collections::BTreeMap;

use super::error::IngestError;

/// The column with the numbers of the subjects, for a file without a subject column.
pub const SUBJECT_COLUMN: &str = "__concordat_subject";
/// The prefix that no column of a file may have, in upper or lower case.
const RESERVED_PREFIX: &str = "__concordat";
/// Maximum length of an identifier that common SQL clients accept.
const MAX_NAME: usize = 63;

/// A column's name and its name in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) given: String,
}

/// Names the columns of a header, refusing reserved names and names that differ only in case.
pub(super) fn name_columns(header: &[String]) -> Result<Vec<Name>, IngestError> {
    let reserved: Vec<String> = header
        .iter()
        .map(|given| given.trim())
        .filter(|name| is_reserved(name))
        .map(str::to_owned)
        .collect();
    if !reserved.is_empty() {
        return Err(IngestError::ReservedNames { names: reserved });
    }
    let names: Vec<Name> = header
        .iter()
        .enumerate()
        .map(|(index, given)| name(index, given.trim()))
        .collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for column in &names {
        *seen.entry(column.name.to_ascii_lowercase()).or_default() += 1;
    }
    let repeated: Vec<String> = seen
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, _)| name)
        .collect();
    if repeated.is_empty() {
        Ok(names)
    } else {
        Err(IngestError::DuplicateNames { names: repeated })
    }
}

/// The name of a column that has none, by its position from 0.
pub(super) fn numbered(index: usize) -> String {
    format!("column_{}", index + 1)
}

fn name(index: usize, given: &str) -> Name {
    let name = if is_identifier(given) {
        given.to_owned()
    } else {
        clean(index, given)
    };
    Name {
        name,
        given: given.to_owned(),
    }
}

fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn is_identifier(name: &str) -> bool {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && name.len() <= MAX_NAME && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

fn clean(index: usize, given: &str) -> String {
    let mut name = String::new();
    for character in given.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name.truncate(MAX_NAME);
    let name = name.trim_end_matches('_');
    if name.is_empty() {
        numbered(index)
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &[&str]) -> Result<Vec<String>, IngestError> {
        let header: Vec<String> = header.iter().map(ToString::to_string).collect();
        Ok(name_columns(&header)?.into_iter().map(|column| column.name).collect())
    }

    #[test]
    fn identifiers_stay_and_others_are_cleaned() {
        let header = [
            "PERSON_ID",
            " age ",
            "Patient Name",
            "date(x,'unixepoch')",
            "2019",
            "",
            "Größe (cm)",
            "__x",
        ];
        let expected = [
            "PERSON_ID",
            "age",
            "patient_name",
            "date_x_unixepoch",
            "_2019",
            "column_6",
            "gr_e_cm",
            "__x",
        ];
        assert_eq!(names(&header).unwrap(), expected);
        assert_eq!(
            names(&["é".repeat(80).as_str(), "x y".repeat(80).as_str()]).unwrap()[1].len(),
            63
        );
    }

    #[test]
    fn names_that_differ_only_in_case_or_cleaning_are_refused() {
        for header in [["Age", "age"], ["a b", "a-b"]] {
            assert!(matches!(names(&header), Err(IngestError::DuplicateNames { names }) if names.len() == 1));
        }
    }

    #[test]
    fn reserved_names_are_refused() {
        let error = names(&["a", "__Concordat_subject"]).unwrap_err();
        assert!(
            matches!(&error, IngestError::ReservedNames { names } if names == &["__Concordat_subject"]),
            "{error}"
        );
    }
}
