//! Rules, levels and templates, each compared with an independent reference.

mod ancestors;
mod atoms;
mod clinical;
mod code_sets;
mod common;
mod encoding;
mod labels;
mod names;
mod rules;
mod shown;
mod template;
mod transforms;

use std::collections::BTreeMap;

use super::*;
use crate::ids::{ColumnName, DatasetName, LevelName};
use crate::schema::ColumnKind;
use crate::scope::{Finite, Value};

fn dataset(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

fn column(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn level(text: &str) -> LevelName {
    LevelName::new(text).unwrap()
}

fn float(number: f64) -> Value {
    Value::Float(Finite::new(number).unwrap())
}

fn ints(numbers: impl IntoIterator<Item = i64>) -> Vec<Value> {
    numbers.into_iter().map(Value::Int).collect()
}

fn day(text: &str) -> i32 {
    text.parse::<chrono::NaiveDate>().unwrap().to_epoch_days()
}

fn listed(values: &[(Value, &str)]) -> Vec<Listed> {
    let entry = |(value, label): &(Value, &str)| Listed {
        value: value.clone(),
        label: ValueLabel::new(label).unwrap(),
    };
    values.iter().map(entry).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn edges(edges: Vec<Value>, kind: ColumnKind) -> Levels {
    let levels = BTreeMap::new();
    Levels::check(RawLevels::Edges { edges, levels }, Contents::Of(kind)).unwrap()
}

fn codes(kind: ColumnKind) -> Levels {
    let raw = RawLevels::Codes {
        hierarchy: None,
        names: None,
        levels: BTreeMap::new(),
    };
    Levels::check(raw, Contents::Of(kind)).unwrap()
}
