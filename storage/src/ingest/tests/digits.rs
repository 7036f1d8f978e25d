//! Numbers keep their digits: what floating point does not restore stays text, and people whose numbers may be rounded are noted.

use super::*;

/// Two texts that stand for the same double are two people.
#[test]
fn numbers_that_floating_point_does_not_restore_stay_text() {
    let inexact = |line| Note::InexactNumbers {
        column: "id".to_owned(),
        line,
        numbering: Numbering::Lines,
    };
    let ids = "id,x\n9007199254740992.0,1\n9007199254740993.0,2\n9007199254740994.0,3\n";
    let (found, batches) = import(ids, &TableOptions::default()).unwrap();
    assert_eq!(found.columns()[0].kind, ColumnKind::Text);
    assert!(found.notes().contains(&inexact(3)), "{:?}", found.notes());
    let values: Vec<Option<String>> = cells(&batches).into_iter().map(|row| row[0].clone()).collect();
    let written = ["9007199254740992.0", "9007199254740993.0", "9007199254740994.0"];
    assert_eq!(values, written.map(|value| Some(value.to_owned())));
    for first in ["9007199254740993.0", "9.007199254740993E15", "0.123456789012345678"] {
        let found = inspect(format!("id,x\n{first},1\n{first},2\n"), &TableOptions::default()).unwrap();
        assert_eq!(found.columns()[0].kind, ColumnKind::Text, "{first}");
        assert!(found.notes().contains(&inexact(2)), "{first}: {:?}", found.notes());
    }
}

#[test]
fn people_whose_numbers_may_have_been_rounded_need_attention() {
    let noted = |ids: &str, kinds: &[(&str, ColumnKind)], subject: &str| {
        let options = TableOptions {
            subject: SubjectRule::Column(subject.to_owned()),
            kinds: kinds.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
            ..TableOptions::default()
        };
        let found = inspect(format!("id,x\n{ids}"), &options).unwrap();
        let notes = found.notes().iter();
        let mut rounded = notes.filter(|note| matches!(note, Note::RoundedSubjects { .. }));
        rounded.next().is_some_and(Note::needs_attention)
    };
    let number = [("id", ColumnKind::Float)];
    for ids in ["9007199254740994.0,1\n", "9.1e15,1\n", "1.23457E+11,1\n1.23458E+11,2\n"] {
        assert!(noted(ids, &[], "id"), "{ids}");
        assert!(!noted(ids, &[], "x"), "{ids}");
    }
    assert!(noted("9007199254740993,1\n", &number, "id"));
    assert!(!noted("9007199254740993,1\n", &[], "id"));
    assert!(!noted("1.5,1\n2e3,2\n", &[], "id"));
}
