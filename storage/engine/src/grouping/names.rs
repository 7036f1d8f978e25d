//! Names of codes at several members: a part is combined with others by what it groups, so that one name has to be that of the same codes at
//! all of them.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::Levels,
    ids::{ColumnName, DatasetName},
    scope::Value,
};

use super::Grouping;
use crate::statistic::KnownCollection;

/// A column that decides about groups whose values have other names under another permission, as `dataset.column`, with what the first value of
/// which that is true is named under both. `None` if there is none.
pub(super) fn different_names(ours: &Grouping, theirs: &Grouping) -> Option<(String, [String; 2])> {
    let grouped = ours.statistic().used().grouped;
    grouped.iter().find_map(|column| {
        let [here, there] = [ours, theirs].map(|grouping| names(grouping.known(), column));
        let mut values = here.keys().chain(there.keys());
        let value = values.find(|value| here.get(*value) != there.get(*value))?;
        let described = [&here, &there].map(|names| match names.get(value) {
            Some(name) => format!("{value} is named `{name}`"),
            None => format!("{value} has no name"),
        });
        let (dataset, column) = column;
        Some((format!("{dataset}.{column}"), described))
    })
}

fn names(known: &KnownCollection, (dataset, column): &(DatasetName, ColumnName)) -> BTreeMap<Value, String> {
    let column = known.column(dataset, column);
    let named = column.and_then(|column| match &column.levels {
        Levels::Codes(codes) => codes.named(),
        Levels::Values(_) => column.names.as_ref().map(|names| &names.values),
        Levels::None | Levels::Truth | Levels::Edges(_) => None,
    });
    let named = named.into_iter().flat_map(|names| names.iter());
    named
        .map(|listed| (listed.value.clone(), listed.label.to_string()))
        .collect()
}
