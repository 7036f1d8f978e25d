use concordat_engine::with_oldest_year;
use concordat_protocol::ids::{DatasetRef, InstitutionId};
use concordat_protocol::scope::{BandWidth, Generalization, Tier, Transform};
use datafusion::arrow::array::{Array, Date32Array, Float64Array, TimestampMillisecondArray};
use datafusion::arrow::datatypes::TimeUnit;

use super::*;
use crate::federation::testing::{Dataset, Institutions, batch, ints, lines, texts};

fn union(datasets: Vec<Dataset>) -> UnionTable {
    Institutions::new(datasets).union("consortium.heart")
}

fn columns(table: &UnionTable) -> Vec<(String, DataType)> {
    table
        .schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect()
}

#[test]
fn union_matches_names_without_regard_to_case() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("pid", texts(&["a"])), ("Age", ints(&[50]))],
        ),
        Dataset::new(
            "beta.heart",
            Tier::Records,
            vec![("AGE", ints(&[60])), ("pid", texts(&["b"]))],
        ),
    ]);
    assert_eq!(
        columns(&table),
        [
            ("pid".to_owned(), DataType::Utf8),
            ("Age".to_owned(), DataType::Int64),
            (INSTITUTION.to_owned(), DataType::Utf8)
        ]
    );
    let beta = &table.members[1];
    assert_eq!(beta.column(1).unwrap().name(), "AGE");
    let rows = batch(vec![("AGE", ints(&[60]))]);
    let shown = [1, 2];
    let schema = Arc::new(table.schema.project(&shown).unwrap());
    assert_eq!(
        lines(&table.rows_of(beta, &rows, &shown, &schema).unwrap()),
        ["60|beta"]
    );
}

#[test]
fn union_names_that_differ_in_case_at_one_member_stay_apart() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("age", ints(&[1])), ("Age", ints(&[2]))],
        ),
        Dataset::new("beta.heart", Tier::Records, vec![("Age", ints(&[3]))]),
    ]);
    let names: Vec<String> = columns(&table).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["age", "Age", INSTITUTION]);
    assert!(table.members[1].column(0).is_none());
}

#[test]
fn union_type_holds_the_values_of_all_members() {
    let day: ArrayRef = Arc::new(Date32Array::from(vec![0]));
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]));
    let number: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let table = union(vec![
        Dataset::new("alfa.heart", Tier::Records, vec![("seen", day), ("dose", ints(&[1]))]),
        Dataset::new("beta.heart", Tier::Records, vec![("seen", time), ("dose", number)]),
    ]);
    let types: Vec<DataType> = columns(&table).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(
        types,
        [
            DataType::Timestamp(TimeUnit::Millisecond, None),
            DataType::Float64,
            DataType::Utf8
        ]
    );
}

#[test]
fn union_conflict_is_an_error_of_the_column_only() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("zip", ints(&[8001])), ("age", ints(&[50]))],
        ),
        Dataset::new(
            "beta.heart",
            Tier::Records,
            vec![("zip", texts(&["EC1"])), ("age", ints(&[60]))],
        ),
    ]);
    assert!(table.conflict("age").is_none());
    assert_eq!(
        table.conflict("zip").unwrap().to_string(),
        "`zip` is a whole number at alfa and text at beta, and the two cannot be combined into one column"
    );
    let help = table.conflict("zip").unwrap().help().unwrap();
    assert!(help.contains("--type zip=text"), "{help}");
}

#[test]
fn union_conflict_of_times_names_their_zones() {
    let plain: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]));
    let zoned: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("UTC"));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![0]));
    for (alfa, kind) in [(plain, "a date-time without a zone"), (day, "a date")] {
        let table = union(vec![
            Dataset::new("alfa.heart", Tier::Records, vec![("seen", alfa)]),
            Dataset::new("beta.heart", Tier::Records, vec![("seen", Arc::clone(&zoned))]),
        ]);
        assert_eq!(
            table.conflict("seen").unwrap().to_string(),
            format!(
                "`seen` is {kind} at alfa and a date-time with a zone at beta, and the two cannot be combined into one column"
            )
        );
    }
}

#[test]
fn union_of_some_members_has_their_columns_only() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("zip", ints(&[8001])), ("chol", ints(&[200]))],
        ),
        Dataset::new("beta.heart", Tier::Records, vec![("ZIP", texts(&["EC1"]))]),
    ]);
    assert!(table.has_conflicts() && table.has_institution());
    let of = |name: &str| {
        let institution: InstitutionId = name.parse().unwrap();
        let dataset: DatasetName = "heart".parse().unwrap();
        let only = table.only(&dataset, |member| *member == institution);
        (columns(&only), columns(&table.typed_by(&institution)))
    };
    let column = |name: &str, kind: DataType| (name.to_owned(), kind);
    let institution = || column(INSTITUTION, DataType::Utf8);
    let chol = || column("chol", DataType::Int64);
    let (only, typed) = of("beta");
    assert_eq!(only, [column("ZIP", DataType::Utf8), institution()]);
    assert_eq!(typed, [column("zip", DataType::Utf8), chol(), institution()]);
    let (only, typed) = of("alfa");
    assert_eq!(only, typed);
    assert_eq!(only, [column("zip", DataType::Int64), chol(), institution()]);
}

#[test]
fn union_forms_that_mean_different_things_do_not_combine() {
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    let alfa = Dataset::new("alfa.heart", Tier::Records, vec![("age", texts(&["50-59"]))]);
    let beta = Dataset::new("beta.heart", Tier::Records, vec![("age", texts(&["50-54"]))]);
    let ten = alfa.clone().showing("age", band(BandWidth::Ten));
    let five = beta.clone().showing("age", band(BandWidth::Five));
    let conflict = union(vec![ten.clone(), five]).conflict("age").unwrap().to_string();
    assert!(
        conflict.contains("bands of 10 years at alfa and bands of 5 years at beta"),
        "{conflict}"
    );
    assert!(union(vec![ten.clone(), beta.clone()]).conflict("age").is_some());
    assert!(
        union(vec![ten, beta.showing("age", band(BandWidth::Ten))])
            .conflict("age")
            .is_none()
    );
    let secret = |dataset: Dataset| dataset.showing("age", Transform::Pseudonym);
    let both = union(vec![
        secret(alfa),
        secret(Dataset::new("beta.heart", Tier::Records, vec![("age", texts(&["x"]))])),
    ]);
    assert!(both.conflict("age").is_none());
    assert!(form_of(both.schema.field(0)) == Form::Pseudonym);
}

/// One column of years under a grant with this oldest year.
fn years(kind: ColumnKind, oldest: i32) -> MemberColumns {
    let column = ShownColumn {
        name: "born".to_owned(),
        kind,
        transform: Transform::Generalized(Generalization::Year),
    };
    let schema = shown_schema("a grant", &[column]).unwrap();
    MemberColumns {
        schema: Arc::new(with_oldest_year(&schema, oldest)),
        empty: BTreeSet::new(),
    }
}

#[test]
fn union_form_is_true_of_all_members() {
    let of = |name| Dataset::new(name, Tier::Records, vec![("born", ints(&[1980]))]);
    let members = union(vec![of("alfa.heart"), of("beta.heart")]).members;
    let field = |columns: [MemberColumns; 2]| {
        let targets = members.iter().map(|member| member.target.clone());
        let table = UnionTable::of_members(&"heart".parse().unwrap(), targets.zip(columns).collect());
        table.schema.field(0).clone()
    };
    let later = field([years(ColumnKind::Date, 1937), years(ColumnKind::Date, 1937)]);
    let earlier = field([years(ColumnKind::Date, 1936), years(ColumnKind::Date, 1936)]);
    assert_ne!(earlier, later);
    assert_eq!(
        field([years(ColumnKind::Date, 1936), years(ColumnKind::Date, 1937)]),
        later
    );
    assert_eq!(
        field([years(ColumnKind::Date, 1937), years(ColumnKind::Date, 1936)]),
        later
    );
    let moments = field([years(ColumnKind::Timestamp, 1937), years(ColumnKind::Timestamp, 1937)]);
    assert_ne!(moments, later);
    assert_eq!(
        field([years(ColumnKind::Date, 1937), years(ColumnKind::Timestamp, 1937)]),
        moments
    );
    assert_eq!(
        field([years(ColumnKind::Timestamp, 1937), years(ColumnKind::Date, 1937)]),
        moments
    );
}

#[test]
fn union_members_that_lack_a_column_are_named() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("age", ints(&[50])), ("chol", ints(&[200]))],
        ),
        Dataset::new("beta.heart", Tier::Records, vec![("age", ints(&[60]))]),
    ]);
    let lacking = |names: &[&str]| -> Vec<String> {
        let names = names.iter().map(ToString::to_string).collect();
        table
            .lacking(&names)
            .map(|(target, column)| format!("{} {column}", target.dataset))
            .collect()
    };
    assert_eq!(lacking(&["age", INSTITUTION]), Vec::<String>::new());
    assert_eq!(lacking(&["age", "chol"]), ["beta.heart chol"]);
}

#[test]
fn union_column_of_a_member_has_a_free_name() {
    let table = union(vec![
        Dataset::new(
            "alfa.heart",
            Tier::Records,
            vec![("institution", texts(&["a"])), ("Institution_2", ints(&[1]))],
        ),
        Dataset::new("beta.heart", Tier::Records, vec![("INSTITUTION", ints(&[3]))]),
    ]);
    let names: Vec<String> = columns(&table).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["institution_3", "Institution_2", INSTITUTION]);
    assert!(table.is_institution(2) && table.has_renamed());
    assert!(table.conflict("institution_3").is_some());
    let used = |name: &str| table.renamed(&BTreeSet::from([name.to_owned()])).len();
    assert_eq!(
        (used("institution_3"), used(INSTITUTION), used("Institution_2")),
        (2, 2, 0)
    );
}

#[test]
fn union_value_that_would_change_is_an_error() {
    let dataset: DatasetRef = "alfa.heart".parse().unwrap();
    let to = |values: ArrayRef, kind: DataType| {
        let rows = values.len();
        converted(Some(&values), &kind, rows, (&dataset, "code"))
    };
    let number = |values: &[i64]| to(ints(values), DataType::Float64);
    assert_eq!(number(&[1, -7]).unwrap().as_ref(), &Float64Array::from(vec![1.0, -7.0]));
    for changed in [(1_i64 << 53) + 1, i64::MAX] {
        assert!(number(&[1, changed]).is_err(), "{changed}");
    }
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)]));
    let times = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert_eq!(to(days, times).unwrap().null_count(), 1);
    let empty: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    assert_eq!(to(empty, DataType::Boolean).unwrap().null_count(), 2);
    assert!(to(texts(&["5"]), DataType::Float64).is_err());
}
