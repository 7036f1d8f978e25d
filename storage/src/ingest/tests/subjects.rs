//! Which column is proposed as the one that identifies people.

use super::*;

/// Rows of a table, and how many different values each column has in them; each value occurs in as many rows as every other one.
const ROWS: usize = 3000;

/// What is noted about a table with these columns, if `subject` determines the subjects.
fn notes(columns: &[(&str, usize)], subject: SubjectRule) -> Vec<Note> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!("{}\n", names.join(","));
    for row in 0..ROWS {
        let cells: Vec<String> = columns.iter().map(|(_, values)| (row % values).to_string()).collect();
        text.push_str(&format!("{}\n", cells.join(",")));
    }
    let options = TableOptions {
        subject,
        ..TableOptions::default()
    };
    inspect(&text, &options).unwrap().notes().to_vec()
}

/// The column that is proposed if each row is a subject, and the one if the first column has the subjects.
fn proposed(columns: &[(&str, usize)]) -> [Option<String>; 2] {
    let first = SubjectRule::Column(columns[0].0.to_owned());
    [SubjectRule::EachRow, first].map(|subject| {
        let notes = notes(columns, subject);
        assert!(notes.len() <= 1, "{notes:?}");
        notes.into_iter().next().map(|note| {
            let (Note::Repeats { column } | Note::SubjectHardlyRepeats { column, .. }) = note else {
                panic!("{note:?}");
            };
            column
        })
    })
}

#[test]
fn persons_are_proposed_before_visits_and_codes() {
    for (person, others) in [
        (
            "person_id",
            [("measurement_concept_id", 40), ("visit_occurrence_id", 1500)],
        ),
        (
            "PERSON_ID",
            [("MEASUREMENT_CONCEPT_ID", 40), ("VISIT_OCCURRENCE_ID", 1500)],
        ),
        ("patient", [("site_no", 30), ("encounter_id", 1500)]),
        ("SubjectId", [("case", 150), ("VisitNumber", 1500)]),
        ("mrn", [("patient_age", 90), ("record_no", 1500)]),
        ("usubjid", [("id", 1500), ("provider_id", 60)]),
    ] {
        let columns = [
            ("measurement_id", ROWS),
            others[0],
            (person, 300),
            others[1],
            ("chol", 90),
        ];
        let person = Some(person.to_owned());
        assert_eq!(proposed(&columns), [person.clone(), person], "{columns:?}");
    }
}

#[test]
fn of_several_numbers_the_one_with_fewest_values_is_proposed() {
    for (columns, column) in [
        // A person has episodes, and an episode has visits.
        (
            [("visit_id", 1500), ("stay_id", 600), ("episode_id", 300)],
            "episode_id",
        ),
        (
            [("patient_id", 300), ("participant_no", 600), ("record_id", 100)],
            "patient_id",
        ),
        (
            [("record_id", 300), ("visit_id", 150), ("person_source_value", 100)],
            "record_id",
        ),
        // 250 rows for each value are those of places or codes, and one for each is a number of rows.
        ([("patient_id", 12), ("subject", ROWS), ("visit_id", 1500)], "visit_id"),
    ] {
        let columns = [&[("row_id", ROWS)][..], &columns[..]].concat();
        let column = Some(column.to_owned());
        assert_eq!(proposed(&columns), [column.clone(), column], "{columns:?}");
    }
    assert_eq!(
        proposed(&[("row_id", ROWS), ("patient_id", ROWS), ("chol", 90)]),
        [None, None]
    );
}
