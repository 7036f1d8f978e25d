use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimeUnit};
use concordat_protocol::scope::Tier;

use super::*;

const ALL: u64 = 300;

fn column(name: &str, kind: &str, class: &str, key: Option<PublishedKey>) -> PublishedColumn {
    PublishedColumn {
        name: name.parse().unwrap(),
        kind: kind.to_owned(),
        class: class.to_owned(),
        unit: None,
        key,
    }
}

fn dataset(name: &str, columns: Vec<PublishedColumn>) -> PublishedDataset {
    PublishedDataset {
        dataset: format!("cleveland.omop.{name}"),
        collection: "omop".parse().unwrap(),
        institution: "cleveland".parse().unwrap(),
        about_rows: 40,
        tier: Tier::Records,
        columns,
    }
}

/// Notes that lead to visits, visits of persons, and persons.
fn clinic() -> [(DatasetName, PublishedDataset); 3] {
    let to = |dataset: &str, column: &str| {
        Some(PublishedKey::Of {
            dataset: dataset.parse().unwrap(),
            column: column.parse().unwrap(),
        })
    };
    let subject = || Some(PublishedKey::Subject);
    let note = vec![
        column("visit", "integer", "direct-identifier", to("visit", "number")),
        column("text", "text", "sensitive", None),
    ];
    let person = vec![
        column("id", "text", "direct-identifier", subject()),
        column("age", "integer", "quasi-identifier", None),
    ];
    let visit = vec![
        column("number", "integer", "direct-identifier", Some(PublishedKey::Own)),
        column("who", "text", "direct-identifier", to("person", "id")),
    ];
    [
        ("note".parse().unwrap(), dataset("note", note)),
        ("person".parse().unwrap(), dataset("person", person)),
        ("visit".parse().unwrap(), dataset("visit", visit)),
    ]
}

fn shape(datasets: &[(DatasetName, PublishedDataset)]) -> Shape<'_> {
    Shape::new(datasets.iter().map(|(name, dataset)| (name.clone(), dataset)).collect())
}

fn sampled(shape: &Shape<'_>, at: usize, seed: u64) -> RecordBatch {
    let of = shape.datasets().nth(at).unwrap();
    shape.rows(of, 1..ALL + 1, (seed, ALL)).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let values = batch.column_by_name(column).unwrap().as_string::<i32>();
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    let values = batch.column_by_name(column).unwrap().as_primitive::<Int64Type>();
    values.iter().collect()
}

#[test]
fn sample_is_marked_in_its_first_column() {
    let datasets = clinic();
    let shape = shape(&datasets);
    for at in 0..3 {
        let rows = sampled(&shape, at, 1);
        assert_eq!(rows.schema().field(0).name(), "sample");
        assert_eq!(rows.column(0).as_boolean().true_count(), rows.num_rows());
        assert_eq!(rows.num_rows() as u64, ALL);
    }
    // A column of the dataset keeps its name.
    let of_dataset = [(
        "heart".parse().unwrap(),
        dataset("heart", vec![column("Sample", "text", "", None)]),
    )];
    let rows = sampled(&self::shape(&of_dataset), 0, 1);
    let names: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["sample_", "Sample"]);
}

#[test]
fn sample_keys_are_distinct_and_links_lead_to_them() {
    let datasets = clinic();
    let shape = shape(&datasets);
    let person = sampled(&shape, 1, 1);
    let ids: BTreeSet<Option<String>> = texts(&person, "id").into_iter().collect();
    assert_eq!(ids.len() as u64, ALL, "each person has one row");
    assert!(ids.contains(&Some("sample-000001".to_owned())));
    let visit = sampled(&shape, 2, 1);
    let visits: BTreeSet<Option<i64>> = numbers(&visit, "number").into_iter().collect();
    assert_eq!(visits.len() as u64, ALL);
    let of: Vec<Option<String>> = texts(&visit, "who");
    assert!(of.iter().all(|id| ids.contains(id)));
    assert!(
        of.iter().collect::<BTreeSet<_>>().len() < ids.len(),
        "some have several visits"
    );
    let note = sampled(&shape, 0, 1);
    assert!(numbers(&note, "visit").iter().all(|number| visits.contains(number)));
}

#[test]
fn sample_without_links_has_subjects_in_the_first_dataset() {
    let keyed = |name: &str| {
        let key = Some(PublishedKey::Subject);
        let columns = vec![column("patient", "integer", "direct-identifier", key)];
        (name.parse().unwrap(), dataset(name, columns))
    };
    let datasets: [(DatasetName, PublishedDataset); 2] = [keyed("lab"), keyed("stay")];
    let shape = shape(&datasets);
    let [lab, stay] = [0, 1].map(|at| numbers(&sampled(&shape, at, 1), "patient"));
    let distinct = |numbers: &[Option<i64>]| numbers.iter().collect::<BTreeSet<_>>().len() as u64;
    assert_eq!(distinct(&lab), ALL);
    assert!(distinct(&stay) < ALL);
    assert!(stay.iter().all(|patient| lab.contains(patient)));
}

#[test]
fn sample_is_the_same_for_the_same_seed_in_any_chunks() {
    let datasets = clinic();
    let shape = shape(&datasets);
    let whole = sampled(&shape, 2, 7);
    assert_eq!(whole, sampled(&shape, 2, 7));
    assert_ne!(texts(&whole, "who"), texts(&sampled(&shape, 2, 8), "who"));
    let of = shape.datasets().nth(2).unwrap();
    let later = shape.rows(of, 101..ALL + 1, (7, ALL)).unwrap();
    assert_eq!(whole.slice(100, 200), later);
}

#[test]
fn sample_has_values_of_the_types_and_missing_ones() {
    let kinds = ["boolean", "integer", "number", "date", "time", "text", "something new"];
    let columns = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| column(&format!("c{at}"), kind, "ordinary", None));
    let datasets = [("all".parse().unwrap(), dataset("all", columns.collect()))];
    let rows = sampled(&shape(&datasets), 0, 1);
    let types = [
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Utf8,
        DataType::Utf8,
    ];
    for (at, expected) in types.into_iter().enumerate() {
        let values = rows.column(at + 1);
        assert_eq!(*values.data_type(), expected, "{}", kinds[at]);
        let missing = values.null_count();
        assert!(
            missing > 0 && missing < rows.num_rows() / 4,
            "{missing} of {}",
            kinds[at]
        );
    }
}

#[test]
fn sample_of_an_age_or_a_year_is_one() {
    let columns = ["age", "year_of_birth", "score"].map(|name| column(name, "integer", "ordinary", None));
    let datasets = [("heart".parse().unwrap(), dataset("heart", columns.to_vec()))];
    let rows = sampled(&shape(&datasets), 0, 1);
    let within = |name: &str, range: std::ops::RangeInclusive<i64>| {
        numbers(&rows, name)
            .into_iter()
            .flatten()
            .all(|value| range.contains(&value))
    };
    assert!(within("age", 18..=90) && within("year_of_birth", 1930..=2009) && within("score", 0..=99));
}
