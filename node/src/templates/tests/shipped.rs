//! The templates that the program contains, with the fields of their models and with real files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use concordat_protocol::collection::{
    CollectionRules, ColumnRole, ColumnRules, DatasetKind, Levels, Origin, RawCollectionRules,
};
use concordat_protocol::ids::{CollectionName, LevelName};
use concordat_protocol::schema::ColumnClass;

use super::*;

const OMOP_FIELDS: &str = include_str!("../../../../tests/foreign/collections/omop-fields.txt");
const SYNTHEA_FIELDS: &str = include_str!("../../../../tests/foreign/collections/synthea-fields.txt");

#[test]
fn shipped_template_covers_every_field_of_its_model() {
    let counts: Vec<(&str, usize)> = shipped_names().map(|name| (name, fields(name).len())).collect();
    assert_eq!(counts, [("omop-5.3", 396), ("omop-5.4", 432), ("synthea", 185)]);
    for name in shipped_names() {
        let template = of(name);
        assert_eq!(template.name.as_str(), name);
        // As the file of a user: all that it names exists.
        let rules = applied(&template, &model(name, ""), Origin::User);
        assert_eq!(unclassified(&rules), Vec::<String>::new(), "{name}");
        let declared: usize = template.datasets.iter().map(|dataset| dataset.columns.len()).sum();
        assert_eq!(declared, fields(name).len(), "{name} names a column twice");
    }
    assert_eq!(shipped("omop-6.0"), None);
}

#[test]
fn rules_are_written_as_a_template_that_declares_them() {
    for name in shipped_names() {
        let known = model(name, "");
        let rules = applied(&of(name), &known, Origin::DataModel);
        let text = written(&CollectionName::new("clinic").unwrap(), &rules, &BTreeSet::new());
        assert_eq!(applied(&parsed(&text), &known, Origin::User), rules, "{name}");
        assert!(text.len() < 200_000, "{name}: {} bytes", text.len());
        assert!(!text.contains("has no class"), "{name}");
    }
    let known = known([
        ("person", "person_id", ColumnKind::Int),
        ("person", "größe", ColumnKind::Float),
    ]);
    let rules = TemplateFile::parse(
        "template = 1\nname = \"x\"\n[days]\nlevels = [1, 2]\n[datasets.person]\nkind = \"keyed\"\ncounts = [1, 7]\n\
         [datasets.person.columns]\nperson_id = { role = \"subject\" }\n\
         \"größe\" = { class = \"ordinary\", edges = [1.5, 2], range = { low = 0.5, high = 3, step = 0.1 }, unit = \"m \\\"a\\\\\" }\n",
    );
    let rules = applied(rules.unwrap().template(), &known, Origin::User);
    let text = written(&CollectionName::new("clinic").unwrap(), &rules, &BTreeSet::new());
    assert!(
        text.contains("\"person_id\" = { role = \"subject\" } # has no class"),
        "{text}"
    );
    assert_eq!(applied(&parsed(&text), &known, Origin::User), rules, "{text}");
}

#[test]
fn shipped_template_applies_without_any_one_dataset() {
    for name in shipped_names() {
        let datasets: BTreeSet<&str> = fields(name).into_iter().map(|(dataset, _)| dataset).collect();
        for missing in datasets {
            let rules = applied(&of(name), &model(name, missing), Origin::DataModel);
            assert_eq!(unclassified(&rules), Vec::<String>::new(), "{name} without {missing}");
        }
    }
}

/// Those who are of an age today are born in other years in each year, so conditions are at any year of birth. Groups have five years.
fn check_birth(levels: &Levels) {
    assert_eq!(levels.atoms(), Some(132), "before 1900, each year, and from 2030 on");
    let groups = levels.level(&LevelName::new("band").unwrap());
    assert_eq!(groups.and_then(|groups| groups.atoms()), Some(28));
}

#[test]
fn synthea_template_declares_years_of_birth() {
    let rules = applied(&of("synthea"), &model("synthea", ""), Origin::DataModel);
    check_birth(rule(&rules, "patients", "BIRTHDATE").levels());
}

#[test]
fn omop_template_declares_what_analysts_need() {
    for name in ["omop-5.3", "omop-5.4"] {
        let rules = applied(&of(name), &model(name, ""), Origin::DataModel);
        let kind = |at: &str| rules.dataset(&dataset(at)).unwrap().kind().clone();
        let subject = column("person_id");
        let person = DatasetKind::Keyed { subject, unique: true };
        assert_eq!(kind("person"), person);
        assert_eq!(kind("death"), person);
        assert_eq!(kind("note_nlp").label(), "owned");
        assert_eq!(kind("cost").label(), "unowned");
        assert_eq!(kind("concept").label(), "reference");
        let date = rules.dataset(&dataset("drug_exposure")).unwrap().event_date();
        assert_eq!(date, Some(&column("drug_exposure_start_date")));

        // A date of birth distinguishes no more than the year of birth does.
        for birth in ["year_of_birth", "birth_datetime"] {
            check_birth(rule(&rules, "person", birth).levels());
        }
        assert_eq!(*rule(&rules, "person", "day_of_birth").levels(), Levels::None);
        assert_eq!(rule(&rules, "death", "death_date").levels().atoms(), Some(80 * 12 + 2));
        let gender = rule(&rules, "person", "gender_concept_id").levels();
        assert!(gender.labeled("female").is_some() && gender.labeled("other").is_some());
        let condition = rule(&rules, "condition_occurrence", "condition_concept_id");
        assert_eq!(condition.class(), Some(ColumnClass::Sensitive));
        let Levels::Codes(codes) = condition.levels() else {
            panic!("{:?}", condition.levels())
        };
        let hierarchy = codes.hierarchy().unwrap();
        assert_eq!(hierarchy.dataset, dataset("concept_ancestor"));
        let groups = hierarchy.groups.as_ref().unwrap();
        assert_eq!(
            (groups.column.as_str(), groups.class.as_str()),
            ("concept_class_id", "Ingredient")
        );
        assert_eq!(codes.names().unwrap().name, column("concept_name"));
    }
}

#[test]
fn omop_source_values_are_grouped_by_or_removed() {
    let rules = applied(&of("omop-5.4"), &model("omop-5.4", ""), Origin::DataModel);
    for (at, name, class) in [
        ("person", "gender_source_value", ColumnClass::Ordinary),
        ("person", "race_source_value", ColumnClass::Ordinary),
        ("person", "ethnicity_source_value", ColumnClass::Ordinary),
        ("measurement", "unit_source_value", ColumnClass::Ordinary),
        ("drug_exposure", "dose_unit_source_value", ColumnClass::Ordinary),
        ("person", "person_source_value", ColumnClass::DirectIdentifier),
        ("measurement", "value_source_value", ColumnClass::DirectIdentifier),
        ("note", "note_text", ColumnClass::DirectIdentifier),
        ("location", "zip", ColumnClass::DirectIdentifier),
        ("measurement", "value_as_number", ColumnClass::Sensitive),
    ] {
        assert_eq!(rule(&rules, at, name).class(), Some(class), "{at}.{name}");
    }
}

#[test]
fn omop_links_to_the_own_dataset_are_values() {
    let rules = applied(&of("omop-5.4"), &model("omop-5.4", ""), Origin::DataModel);
    for (at, name) in [
        ("visit_occurrence", "preceding_visit_occurrence_id"),
        ("visit_detail", "parent_visit_detail_id"),
        ("episode", "episode_parent_id"),
        ("relationship", "reverse_relationship_id"),
        ("measurement", "measurement_event_id"),
        ("domain", "domain_concept_id"),
    ] {
        assert_eq!(*rule(&rules, at, name).role(), ColumnRole::Value, "{at}.{name}");
    }
    // Foreign keys that the model does not mark.
    for (at, name, to) in [
        ("procedure_occurrence", "visit_occurrence_id", "visit_occurrence"),
        ("cost", "payer_plan_period_id", "payer_plan_period"),
        ("note_nlp", "note_id", "note"),
    ] {
        let to = ColumnRole::Link {
            to: dataset(to),
            key: column(name),
        };
        assert_eq!(*rule(&rules, at, name).role(), to, "{at}.{name}");
    }
}

#[test]
fn omop_concepts_are_links_to_the_reference_dataset() {
    let to = ColumnRole::Link {
        to: dataset("concept"),
        key: column("concept_id"),
    };
    for name in ["omop-5.3", "omop-5.4"] {
        let rules = applied(&of(name), &model(name, ""), Origin::DataModel);
        let mut others = BTreeSet::new();
        let mut linked = 0;
        for (at, declared) in rules.datasets() {
            for (column, rules) in declared.columns() {
                let is_concept = column.as_str().ends_with("_concept_id") || column.as_str().contains("concept_id_");
                match rules.role() {
                    role if *role == to => linked += 1,
                    ColumnRole::Subject | ColumnRole::Key | ColumnRole::Link { .. } | ColumnRole::Value => {
                        others.extend(is_concept.then(|| format!("{at}.{column}")));
                    }
                }
            }
        }
        // `concept` links to these.
        let before = [
            "concept_class.concept_class_concept_id",
            "domain.domain_concept_id",
            "vocabulary.vocabulary_concept_id",
        ];
        assert_eq!(others, BTreeSet::from(before.map(str::to_owned)), "{name}");
        assert!(linked > 89, "{name}: {linked}");
        // Without the vocabulary they are values.
        let rules = applied(&of(name), &model(name, "concept"), Origin::DataModel);
        assert_eq!(
            *rule(&rules, "person", "gender_concept_id").role(),
            ColumnRole::Value,
            "{name}"
        );
    }
}

/// The demonstration data of OHDSI are mostly of 5.3, with columns of 5.4, a column with a misspelled name, and headers that are SQL.
#[test]
fn gibleed_leaves_only_the_columns_that_it_adds() {
    let Some(folder) = shared_data("omop-gibleed-5.3") else {
        return;
    };
    let template = of("omop-5.3");
    let mut columns = Vec::new();
    for (file, header) in headers(&folder, "csv.gz") {
        columns.extend(
            header
                .iter()
                .map(|header| (file.clone(), named(&template, &file, header))),
        );
    }
    let columns = columns
        .iter()
        .map(|(file, name)| (file.as_str(), name.as_str(), omop_kind(name)));
    let rules = applied(&template, &known(columns), Origin::DataModel);
    let expected: Vec<&str> = GIBLEED_ADDS.split_whitespace().collect();
    assert_eq!(unclassified(&rules), expected);
}

#[test]
fn synthea_fields_are_those_of_its_files() {
    let Some(folder) = shared_data("synthea-csv-dbt") else {
        return;
    };
    let mut found = BTreeSet::new();
    for (file, header) in headers(&folder, "csv") {
        found.extend(header.into_iter().map(|name| (file.clone(), name)));
    }
    let listed = fields("synthea").into_iter();
    let listed: BTreeSet<_> = listed.map(|(at, name)| (at.to_owned(), name.to_owned())).collect();
    assert_eq!(found, listed);
}

/// In the order of names.
const GIBLEED_ADDS: &str = "
    cdm_source.CDM_VERSION_CONCEPT_ID
    cohort.COHORT_DEFINITION_ID cohort.COHORT_END_DATE cohort.COHORT_START_DATE cohort.SUBJECT_ID
    cohort_attribute.ATTRIBUTE_DEFINITION_ID cohort_attribute.COHORT_DEFINITION_ID cohort_attribute.COHORT_END_DATE
    cohort_attribute.COHORT_START_DATE cohort_attribute.SUBJECT_ID cohort_attribute.VALUE_AS_CONCEPT_ID
    cohort_attribute.VALUE_AS_NUMBER
    cost.REVEUE_CODE_SOURCE_VALUE
    device_exposure.production_id device_exposure.unit_concept_id device_exposure.unit_source_concept_id
    device_exposure.unit_source_value
    location.COUNTRY_CONCEPT_ID location.COUNTRY_SOURCE_VALUE location.LATITUDE location.LONGITUDE
    measurement.MEASUREMENT_EVENT_ID measurement.MEAS_EVENT_FIELD_CONCEPT_ID measurement.UNIT_SOURCE_CONCEPT_ID
    metadata.METADATA_ID metadata.VALUE_AS_NUMBER
    note.NOTE_EVENT_FIELD_CONCEPT_ID note.NOTE_EVENT_ID
    observation.OBSERVATION_EVENT_ID observation.OBS_EVENT_FIELD_CONCEPT_ID observation.VALUE_SOURCE_VALUE
    procedure_occurrence.PROCEDURE_END_DATE procedure_occurrence.PROCEDURE_END_DATETIME
    visit_detail.ADMITTED_FROM_CONCEPT_ID visit_detail.ADMITTED_FROM_SOURCE_VALUE
    visit_detail.DISCHARGED_TO_CONCEPT_ID visit_detail.DISCHARGED_TO_SOURCE_VALUE visit_detail.PARENT_VISIT_DETAIL_ID
    visit_occurrence.ADMITTED_FROM_CONCEPT_ID visit_occurrence.ADMITTED_FROM_SOURCE_VALUE
    visit_occurrence.DISCHARGED_TO_CONCEPT_ID visit_occurrence.DISCHARGED_TO_SOURCE_VALUE
";

fn of(name: &str) -> Template {
    parsed(shipped(name).unwrap())
}

/// The datasets and columns of a model.
fn fields(name: &str) -> Vec<(&'static str, &'static str)> {
    let lines = |text: &'static str| text.lines().filter(|line| !line.starts_with('#'));
    match name.strip_prefix("omop-") {
        Some(version) => {
            let of_version = lines(OMOP_FIELDS).filter_map(|line| line.strip_prefix(version)?.strip_prefix(' '));
            of_version.filter_map(|field| field.split_once(' ')).collect()
        }
        None => lines(SYNTHEA_FIELDS)
            .filter_map(|field| field.split_once(' '))
            .collect(),
    }
}

/// A collection with all fields of a model but those of one dataset.
fn model(name: &str, missing: &str) -> KnownColumns {
    let kind = if name == "synthea" { synthea_kind } else { omop_kind };
    let fields = fields(name).into_iter().filter(|(at, _)| *at != missing);
    known(fields.map(|(at, name)| (at, name, kind(name))))
}

/// The kind of a field by its name, which is right for all fields that have levels, links or dates.
fn omop_kind(name: &str) -> ColumnKind {
    let name = name.to_lowercase();
    let text_keys = [
        "domain_id",
        "vocabulary_id",
        "concept_class_id",
        "relationship_id",
        "unique_device_id",
        "production_id",
        "specimen_source_id",
    ];
    let ends_with = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends_with(&text_keys) {
        ColumnKind::Text
    } else if ends_with(&["_datetime"]) {
        ColumnKind::Timestamp
    } else if ends_with(&["_date"]) {
        ColumnKind::Date
    } else if ends_with(&["_id", "_id_1", "_id_2", "_of_birth"]) {
        ColumnKind::Int
    } else if ends_with(&["as_number", "quantity"]) {
        ColumnKind::Float
    } else {
        ColumnKind::Text
    }
}

fn synthea_kind(name: &str) -> ColumnKind {
    match name {
        "BIRTHDATE" | "DEATHDATE" => ColumnKind::Date,
        "DATE" | "START" | "STOP" => ColumnKind::TimestampUtc,
        _ => ColumnKind::Text,
    }
}

fn applied(template: &Template, known: &KnownColumns, origin: Origin) -> CollectionRules {
    let raw = template.apply(RawCollectionRules::default(), known, origin).unwrap();
    CollectionRules::check(raw, known).unwrap()
}

fn unclassified(rules: &CollectionRules) -> Vec<String> {
    rules
        .unclassified()
        .map(|(dataset, column)| format!("{dataset}.{column}"))
        .collect()
}

fn rule<'a>(rules: &'a CollectionRules, at: &str, name: &str) -> &'a ColumnRules {
    rules.dataset(&dataset(at)).unwrap().column(&column(name)).unwrap()
}

/// The column that a header names: itself, or the one that it spells otherwise.
fn named(template: &Template, at: &str, header: &str) -> String {
    if ColumnName::new(header).is_ok() {
        return header.to_owned();
    }
    let dataset = template
        .datasets
        .iter()
        .find(|entry| entry.name.as_str() == at)
        .unwrap();
    let mut columns = dataset.columns.iter().map(|(name, _)| column(name.as_str()));
    let is_named = |column: &ColumnName| template.headers.iter().any(|spelling| spelling.names(header, column));
    columns.find(is_named).unwrap().to_string()
}

fn shared_data(folder: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned();
    let root = std::env::var("CONCORDAT_SHARED_DATA").unwrap_or(default);
    let path = Path::new(&root).join(folder);
    if !path.exists() {
        eprintln!("skipped: `{folder}` is not in `{root}`; set CONCORDAT_SHARED_DATA to the shared data folder");
        return None;
    }
    Some(path)
}

/// The header of each file of a folder, in the order of names.
fn headers(folder: &Path, extension: &str) -> BTreeMap<String, Vec<String>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut headers = BTreeMap::new();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((dataset, _)) = name.split_once('.').filter(|(_, found)| *found == extension) else {
            continue;
        };
        let file = File::open(&path).unwrap();
        let reader: Box<dyn std::io::Read> = if extension.ends_with("gz") {
            Box::new(flate2::read::GzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = csv::Reader::from_reader(reader);
        let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
        headers.insert(dataset.to_owned(), header);
    }
    headers
}
