//! Three-valued logic: conditions compared with those that the library computes on the same rows.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use concordat_protocol::collection::{AtomId, Datum};
use datafusion::{datasource::MemTable, prelude::SessionContext};
use proptest::prelude::*;

use super::{Collection, rows};
use crate::statistic::{Condition, KnownCollection, Quantity};

/// Values of `age` and of `cp`: at edges, beside them, outside of them, and missing.
pub(super) const AGES: [Option<i64>; 9] = [
    None,
    Some(0),
    Some(29),
    Some(30),
    Some(34),
    Some(35),
    Some(44),
    Some(70),
    Some(99),
];
pub(super) const KINDS: [Option<i64>; 4] = [None, Some(0), Some(2), Some(7)];

/// A condition over `age` and `cp` at edges.
pub(super) fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (prop::sample::select(vec!["<", ">=", "<=", ">"]), 0..5_i64).prop_map(|(op, at)| {
            let edge = 30 + 5 * at - i64::from(op == "<=" || op == ">");
            format!("age {op} {edge}")
        }),
        (0..4_i64, any::<bool>()).prop_map(|(cp, is)| format!("cp {} {cp}", if is { "=" } else { "<>" })),
        Just("cp IN (0, 2)".to_owned()),
        Just("cp NOT IN (1, 2)".to_owned()),
        Just("age BETWEEN 35 AND 44".to_owned()),
        Just("age NOT BETWEEN 30 AND 39".to_owned()),
        Just("40 - age > 5".to_owned()),
        (0..4_i64, any::<bool>())
            .prop_map(|(cp, is)| format!("(cp IS {}DISTINCT FROM {cp})", if is { "NOT " } else { "" })),
        Just("(3 IS DISTINCT FROM cp)".to_owned()),
        Just("age IS NULL".to_owned()),
        Just("cp IS NOT NULL".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.clone().prop_map(|a| format!("(NOT {a})")),
            inner.clone().prop_map(|a| format!("({a} IS TRUE)")),
            inner.clone().prop_map(|a| format!("({a} IS NOT TRUE)")),
            inner.clone().prop_map(|a| format!("({a} IS FALSE)")),
            inner.prop_map(|a| format!("({a} IS NOT FALSE)")),
        ]
    })
}

/// What a condition is for a row: the reference reads a tree node by node.
#[expect(clippy::wildcard_enum_match_arm, reason = "other conditions are not in these texts")]
pub(super) fn truth(condition: &Condition, known: &KnownCollection, age: Option<i64>, cp: Option<i64>) -> Option<bool> {
    let each =
        |parts: &[Condition]| -> Vec<Option<bool>> { parts.iter().map(|part| truth(part, known, age, cp)).collect() };
    match condition {
        Condition::All => Some(true),
        Condition::Never => Some(false),
        Condition::Test(of, test) => {
            let Quantity::Column(path) = of else { panic!("{of:?}") };
            let value = if path.column().as_str() == "age" { age } else { cp };
            let atom: AtomId = known.levels(of).atom_of(value.map_or(Datum::Null, Datum::Int));
            match (test.passing().contains(&atom), test.failing().contains(&atom)) {
                (true, false) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
                (true, true) => panic!("both"),
            }
        }
        Condition::And(parts) => {
            let parts = each(parts);
            if parts.contains(&Some(false)) {
                Some(false)
            } else {
                parts.iter().copied().reduce(|a, b| a.and(b)).flatten()
            }
        }
        Condition::Or(parts) => {
            let parts = each(parts);
            if parts.contains(&Some(true)) {
                Some(true)
            } else {
                parts.iter().copied().reduce(|a, b| a.and(b)).flatten()
            }
        }
        other => panic!("{other:?}"),
    }
}

/// The rows of all values, and which of them the library keeps.
fn kept(sql: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut ages = Vec::new();
    let mut kinds = Vec::new();
    for (at, age) in AGES.iter().enumerate() {
        for (and, cp) in KINDS.iter().enumerate() {
            ids.push(i64::try_from(at * KINDS.len() + and).unwrap());
            ages.push(*age);
            kinds.push(*cp);
        }
    }
    let fields = ["id", "age", "cp"].map(|name| Field::new(name, DataType::Int64, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(ids)),
        Arc::new(Int64Array::from(ages)),
        Arc::new(Int64Array::from(kinds)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let context = SessionContext::new();
    let table = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
    context.register_table("heart", Arc::new(table)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batches = runtime.block_on(async { context.sql(sql).await.unwrap().collect().await.unwrap() });
    let mut found: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_any()
                .downcast_ref::<Int64Array>()
                .unwrap()
                .values()
                .to_vec()
        })
        .collect();
    found.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn statistic_conditions_are_those_of_sql(condition in condition()) {
        let heart = Collection::named("heart");
        let lowered = rows(&heart, &format!("SELECT count(*) FROM heart WHERE {condition}"));
        let expected = kept(&format!("SELECT id FROM heart WHERE {condition}"));
        let mut found = Vec::new();
        let mut shown = String::new();
        for (at, age) in AGES.iter().enumerate() {
            for (and, cp) in KINDS.iter().enumerate() {
                let is = truth(&lowered, &heart.known, *age, *cp);
                write!(shown, "{is:?} ").unwrap();
                if is == Some(true) {
                    found.push(i64::try_from(at * KINDS.len() + and).unwrap());
                }
            }
        }
        prop_assert_eq!(found, expected, "{} {:?} {}", condition, lowered, shown);
    }
}
