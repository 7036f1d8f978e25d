//! Column names that can be used in SQL.
//!
//! A name that is an identifier of up to 63 characters, of any script, is not changed. Others are cleaned: lower case, runs of other
//! characters become one `_`, a leading digit gets a `_` before it. The inspection notes each cleaned name. The steward can state another
//! name.

use std::collections::BTreeMap;

use concordat_protocol::ids::{ColumnName, MAX_COLUMN_NAME, is_in_column_name};
use unicode_normalization::UnicodeNormalization as _;

use super::{error::IngestError, spellings::ColumnSpellings};

/// The column with the numbers of the subjects, for a file without a subject column.
pub const SUBJECT_COLUMN: &str = "__concordat_subject";
/// The prefix that no column of a file may have, in upper or lower case.
const RESERVED_PREFIX: &str = "__concordat";

/// A column's name and its name in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) given: String,
}

/// Names the columns of a header, with the names that `rename` states or that they have in another spelling, refusing reserved names and
/// names that differ only in case.
pub(super) fn name_columns(
    header: &[String],
    rename: &[(String, String)],
    spellings: &ColumnSpellings,
) -> Result<Vec<Name>, IngestError> {
    check_rename(header, rename)?;
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
        .map(|(index, given)| name(index, given.trim(), rename, spellings))
        .collect();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in &names {
        seen.entry(column.name.to_lowercase())
            .or_default()
            .push(column.given.clone());
    }
    let repeated: Vec<Vec<String>> = seen.into_values().filter(|same| same.len() > 1).collect();
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

/// Whether `old` is the name of a column or `#` and its number from 1, which distinguishes columns of one name.
fn is_meant(old: &str, index: usize, given: &str) -> bool {
    old.trim() == given || old.trim() == format!("#{}", index + 1)
}

/// Checks that each stated name is one, and that the file has the column.
fn check_rename(header: &[String], rename: &[(String, String)]) -> Result<(), IngestError> {
    for (old, new) in rename {
        if ColumnName::new(new).is_err() {
            return Err(IngestError::NewName { name: new.clone() });
        }
        let is_there = |(index, given): (usize, &String)| is_meant(old, index, given.trim());
        if !header.iter().enumerate().any(is_there) {
            return Err(IngestError::NoSuchColumn {
                name: old.clone(),
                columns: header
                    .iter()
                    .map(|given| given.trim().to_owned())
                    .filter(|_| header.len() > 1)
                    .collect(),
            });
        }
    }
    Ok(())
}

fn name(index: usize, given: &str, rename: &[(String, String)], spellings: &ColumnSpellings) -> Name {
    let stated = rename.iter().find(|(old, _)| is_meant(old, index, given));
    let composed: String = given.nfc().collect();
    let name = match stated {
        Some((_, new)) => new.clone(),
        None if ColumnName::new(&composed).is_ok() => composed,
        None => match spellings.column(given) {
            Some(column) => column.to_string(),
            None => clean(index, &composed),
        },
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

fn clean(index: usize, given: &str) -> String {
    let mut name = String::new();
    for character in given.chars() {
        if is_in_column_name(character) && character != '_' {
            name.extend(character.to_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    if ColumnName::new(name.get(..first_length(&name)).unwrap_or_default()).is_err() {
        name.insert(0, '_');
    }
    let name: String = name.nfc().take(MAX_COLUMN_NAME).collect();
    let name = name.trim_end_matches('_');
    if ColumnName::new(name).is_ok() {
        name.to_owned()
    } else {
        numbered(index)
    }
}

/// The length of the first character, in bytes.
fn first_length(name: &str) -> usize {
    name.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use concordat_protocol::collection::HeaderSpelling;

    use super::*;

    fn plain() -> ColumnSpellings {
        ColumnSpellings::default()
    }

    fn names(header: &[&str]) -> Result<Vec<String>, IngestError> {
        let header: Vec<String> = header.iter().map(ToString::to_string).collect();
        Ok(name_columns(&header, &[], &plain())?
            .into_iter()
            .map(|column| column.name)
            .collect())
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
            "病历号",
            "Größe",
            "Gro\u{308}ße",
            "रोगी आयु",
            "x\u{202e}y",
        ];
        let expected = [
            "PERSON_ID",
            "age",
            "patient_name",
            "date_x_unixepoch",
            "_2019",
            "column_6",
            "größe_cm",
            "__x",
            "病历号",
            "Größe",
            "Größe",
            "रोगी_आयु",
            "x_y",
        ];
        for (given, expected) in header.iter().zip(expected) {
            let found = names(&["a", "b", "c", "d", "e", given]).unwrap();
            assert_eq!(found[5], expected, "{given}");
        }
        assert_eq!(
            names(&["é".repeat(80).as_str(), "x y".repeat(80).as_str()]).unwrap()[1].len(),
            63
        );
    }

    #[test]
    fn names_that_differ_only_in_case_or_cleaning_are_refused() {
        for header in [["Age", "age"], ["a b", "a-b"], ["Ärzte", "ärzte"]] {
            assert!(matches!(names(&header), Err(IngestError::DuplicateNames { names }) if names == [header]));
        }
    }

    #[test]
    fn stated_names_replace_those_of_the_file() {
        let header = ["BL.AA", "BL..AA", "age"].map(str::to_owned);
        assert!(
            matches!(name_columns(&header, &[], &plain()), Err(IngestError::DuplicateNames { names }) if names == [["BL.AA", "BL..AA"]])
        );
        let rename = |old: &str, new: &str| [(old.to_owned(), new.to_owned())];
        let named = name_columns(&header, &rename("BL..AA", "bl_aa_2"), &plain()).unwrap();
        assert_eq!(named[1].name, "bl_aa_2");
        let same = ["Record ID", "Complete?", "BP", "Complete?"].map(str::to_owned);
        assert_eq!(
            name_columns(&same, &rename("#4", "bp_complete"), &plain()).unwrap()[3].name,
            "bp_complete"
        );
        assert!(matches!(
            name_columns(&header, &rename("age", "2 x"), &plain()),
            Err(IngestError::NewName { .. })
        ));
        assert!(matches!(
            name_columns(&header, &rename("weight", "kg"), &plain()),
            Err(IngestError::NoSuchColumn { .. })
        ));
    }

    #[test]
    fn header_in_another_spelling_has_the_name_of_its_column() {
        let spellings = ColumnSpellings {
            columns: ["birth_date", "note"]
                .map(|name| ColumnName::new(name).unwrap())
                .to_vec(),
            spellings: vec![HeaderSpelling::new("date({name},'unixepoch')").unwrap()],
        };
        let named = |header: &[&str]| {
            let header: Vec<String> = header.iter().map(ToString::to_string).collect();
            let columns = name_columns(&header, &[], &spellings);
            columns.map(|columns| columns.into_iter().map(|column| column.name).collect::<Vec<_>>())
        };
        let found = named(&["ID", "DATE(BIRTH_DATE,'unixepoch')", "date(seen,'unixepoch')"]).unwrap();
        assert_eq!(found, ["ID", "birth_date", "date_seen_unixepoch"]);
        // Two headers for one column are two columns of one name.
        assert!(matches!(
            named(&["Birth_Date", "date(birth_date,'unixepoch')"]),
            Err(IngestError::DuplicateNames { .. })
        ));
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
