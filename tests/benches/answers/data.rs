//! A clinic: persons, their diagnoses and their prescriptions, with ten rows for each person; and the tables of a data model.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use super::dice::Dice;

/// The datasets of the clinic, and how many rows of each a person has.
pub(crate) const DATASETS: [(&str, u64); 3] = [("person", 1), ("diagnosis", 4), ("prescription", 5)];
/// Values of `region`.
pub(crate) const REGIONS: [&str; 10] = [
    "alsace", "bavaria", "crete", "dalmatia", "emilia", "flanders", "galicia", "holland", "istria", "jutland",
];
/// The first year of birth, and the number of years.
pub(crate) const BORN: (u64, u64) = (1930, 80);
/// The first year of events, and the number of years.
pub(crate) const YEARS: (u64, u64) = (2015, 10);
/// Codes of diagnoses and of prescriptions; the lower ones are more frequent.
const CODES: u64 = 400;

/// The tables and fields of the data model that the templates are made of.
const FIELDS: &str = include_str!("../../foreign/collections/omop-fields.txt");
/// The version of the model.
const VERSION: &str = "5.4";
/// Tables with events, and how many of 32 rows each of them has.
const EVENTS: [(&str, u64); 10] = [
    ("measurement", 10),
    ("observation", 5),
    ("condition_occurrence", 4),
    ("drug_exposure", 4),
    ("procedure_occurrence", 3),
    ("visit_occurrence", 2),
    ("condition_era", 1),
    ("drug_era", 1),
    ("note", 1),
    ("visit_detail", 1),
];
/// Rows of each table without events.
const FEW: u64 = 500;
/// A table that the model does not have, so that there are forty.
const OTHER_TABLE: &str = "local_notes";

/// Writes the files of a clinic with `subjects` persons.
pub(crate) fn write_clinic(dir: &Path, subjects: u64) {
    let mut dice = Dice::new(11);
    for (name, rows) in DATASETS {
        let mut out = created(dir, name);
        if name == "person" {
            write_persons(&mut out, subjects, &mut dice);
        } else {
            write_events(&mut out, (subjects, subjects * rows), &mut dice);
        }
        out.flush().unwrap();
    }
}

fn created(dir: &Path, name: &str) -> BufWriter<File> {
    std::fs::create_dir_all(dir).unwrap();
    BufWriter::with_capacity(1 << 20, File::create(dir.join(format!("{name}.csv"))).unwrap())
}

fn write_persons(out: &mut impl Write, subjects: u64, dice: &mut Dice) {
    writeln!(out, "person_id,sex,born,region").unwrap();
    for person in 0..subjects {
        let sex = dice.one_of(&["f", "m"]);
        let born = BORN.0 + dice.below(BORN.1);
        let region = if dice.below(50) == 0 { "" } else { dice.one_of(&REGIONS) };
        writeln!(out, "{},{sex},{born},{region}", number_of(person)).unwrap();
    }
}

fn write_events(out: &mut impl Write, (subjects, rows): (u64, u64), dice: &mut Dice) {
    writeln!(out, "person_id,code,day,value").unwrap();
    for _ in 0..rows {
        let person = number_of(dice.below(subjects));
        let code = dice.below(CODES).min(dice.below(CODES));
        let day = day(dice);
        let value = dice.below(1_000);
        writeln!(out, "{person},{code},{day},{}.{}", value / 10, value % 10).unwrap();
    }
}

/// Keys of persons are not the numbers in which they are listed.
const fn number_of(person: u64) -> u64 {
    10_000_019 + person * 7
}

fn day(dice: &mut Dice) -> String {
    let day = dice.below(YEARS.1 * 336);
    format!("{}-{:02}-{:02}", YEARS.0 + day / 336, day % 336 / 28 + 1, day % 28 + 1)
}

/// Writes the files of forty tables: those of the data model with about `rows` events in all, of an eighth as many persons, and one that it
/// does not have.
pub(crate) fn write_model(dir: &Path, rows: u64) {
    let persons = rows / 8 + 1;
    let mut dice = Dice::new(13);
    let fields = FIELDS.lines().filter_map(|line| line.strip_prefix(VERSION));
    let mut tables: Vec<(&str, Vec<&str>)> = Vec::new();
    for field in fields {
        let Some((table, column)) = field.trim().split_once(' ') else {
            continue;
        };
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            Some(_) | None => tables.push((table, vec![column])),
        }
    }
    tables.push((OTHER_TABLE, vec!["note_number", "written_date", "author"]));
    for (table, columns) in tables {
        let events = EVENTS.iter().find(|(name, _)| *name == table);
        let count = match events {
            Some((_, part)) => rows * part / 32,
            None if table == "person" || table == "observation_period" => persons,
            None => FEW,
        };
        write_table(&mut created(dir, table), &columns, (count, persons), &mut dice);
    }
}

fn write_table(out: &mut impl Write, columns: &[&str], (rows, persons): (u64, u64), dice: &mut Dice) {
    writeln!(out, "{}", columns.join(",")).unwrap();
    let mut line = String::new();
    for row in 0..rows {
        line.clear();
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            line.push_str(&value(column, (at, row), persons, dice));
        }
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
}

/// A value of a column with this name. The first column of a table is its key, unless it is that of a person.
fn value(column: &str, (at, row): (usize, u64), persons: u64, dice: &mut Dice) -> String {
    let key = |number: u64| (number + 1).to_string();
    if column == "person_id" {
        return key(if at == 0 { row % persons } else { dice.below(persons) });
    }
    if at == 0 {
        return key(row);
    }
    if column.ends_with("_date") {
        return day(dice);
    }
    if column.ends_with("_datetime") {
        let second = dice.below(86_400);
        return format!(
            "{}T{:02}:{:02}:{:02}",
            day(dice),
            second / 3600,
            second / 60 % 60,
            second % 60
        );
    }
    if column.ends_with("_concept_id") {
        return key(dice.below(2 * FEW));
    }
    if ["concept_class_id", "domain_id", "relationship_id", "vocabulary_id"].contains(&column) {
        return format!("c{:02}", dice.below(30));
    }
    if column.ends_with("_id") || column.starts_with("year_of") || column.ends_with("quantity") {
        return (1930 + dice.below(80)).to_string();
    }
    if column.ends_with("_source_value") || column.ends_with("_text") || column.ends_with("_name") {
        return format!("v{:06}", dice.below(5_000));
    }
    if column.starts_with("value_as_number") || column.starts_with("range_") {
        return format!("{}.{}", dice.below(300), dice.below(10));
    }
    // Most of the other columns of exports are empty.
    String::new()
}
