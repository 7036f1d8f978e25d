//! The hundred queries of analysts, over rules as templates and proposals would declare them.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Collection, sentence};

const FILES: [&str; 3] = [
    include_str!("../../../../../tests/foreign/statistics/queries/omop.sql"),
    include_str!("../../../../../tests/foreign/statistics/queries/synthea.sql"),
    include_str!("../../../../../tests/foreign/statistics/queries/tables.sql"),
];

/// The golden file has the verdict on each query: what is lowered, and why the others are not.
#[test]
fn statistic_queries_of_analysts_are_as_reviewed() {
    let mut collections: BTreeMap<&str, Collection> = BTreeMap::new();
    let mut verdicts = String::new();
    let mut lowered = 0;
    for (number, name, sql) in all() {
        let collection = collections.entry(name).or_insert_with(|| Collection::named(name));
        let verdict = match collection.planned(&sql) {
            Err(_) => "cannot be planned".to_owned(),
            Ok(plan) => match collection.lower_plan(&plan) {
                Ok(found) => {
                    lowered += 1;
                    format!("lowered to {}", found.blocks.len())
                }
                Err(error) => sentence(&error),
            },
        };
        writeln!(verdicts, "{number}: {verdict}").unwrap();
    }
    writeln!(verdicts, "{lowered} of 100 are lowered").unwrap();
    assert_eq!(
        verdicts,
        include_str!("queries.golden"),
        "the verdicts are now\n{verdicts}"
    );
}

/// All queries of the files.
pub(super) fn all() -> Vec<(u32, &'static str, String)> {
    FILES.iter().flat_map(|file| queries(file)).collect()
}

/// Number, collection and text of each query of a file.
fn queries(file: &'static str) -> Vec<(u32, &'static str, String)> {
    let parts = file.split("--? ").skip(1);
    let queries = parts.map(|part| {
        let mut words = part.split(' ');
        let number = words.next().unwrap().parse().unwrap();
        let lines = part.lines().skip(1).filter(|line| !line.starts_with("--"));
        // Names with a period exist in files only.
        let text = lines.collect::<Vec<_>>().join("\n");
        let text = text
            .replace("ph.ecog", "ph_ecog")
            .replace("wt.loss", "wt_loss")
            .replace("meal.cal", "meal_cal");
        // The consumer's node writes the day on which it plans a query.
        let text = text.replace("current_date", "DATE '2026-11-30'");
        (number, words.next().unwrap(), text)
    });
    queries.collect()
}
