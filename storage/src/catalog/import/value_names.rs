//! The names of listed values: those that a reference dataset has for the values of a column that leads there, in the column in which codes
//! of the same dataset have their names.
//!
//! They reveal nothing about a subject, and no steward declares them, so they are part of the rules as soon as the reference dataset is
//! imported. A value has one name, as a link leads to a key.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{
        CodeNames, CollectionRules, ColumnRole, KnownColumns, Levels, Listed, ListedValues, ValueLabel, ValueNames,
    },
    ids::{ColumnName, DatasetName},
    scope::Value,
};

use super::write::Part;

/// Bytes of all names of listed values: the declarations that a permission shows are one message.
const MAX_NAMES: usize = 64 << 10;

/// The names that were found in one reference dataset.
pub(super) type FoundNames = (CodeNames, BTreeMap<Value, String>);

/// A column with listed values that have names.
pub(super) struct ListedColumn<'a> {
    dataset: &'a DatasetName,
    column: &'a ColumnName,
    pub(super) of: CodeNames,
    pub(super) listed: &'a ListedValues,
    /// The names that are known from an earlier import.
    before: Option<&'a ValueNames>,
}

/// The columns with listed values whose names are in a dataset among the parts.
pub(super) fn listed_columns<'a>(parts: &[Part<'_>], rules: &'a CollectionRules) -> Vec<ListedColumn<'a>> {
    let names = columns_with_names(rules);
    let is_part = |dataset: &DatasetName| parts.iter().any(|part| *part.prepared.name == *dataset);
    let mut found = Vec::new();
    for (dataset, declared) in rules.datasets() {
        for (column, rules) in declared.columns() {
            let (ColumnRole::Link { to, key }, Levels::Values(listed)) = (rules.role(), rules.levels()) else {
                continue;
            };
            if let Some(name) = names.get(&(to, key)).filter(|_| is_part(to)) {
                found.push(ListedColumn {
                    dataset,
                    column,
                    of: CodeNames {
                        dataset: to.clone(),
                        code: key.clone(),
                        name: ColumnName::clone(name),
                    },
                    listed,
                    before: rules.names(),
                });
            }
        }
    }
    found
}

/// For the key of each reference dataset the column with the names of codes.
fn columns_with_names(rules: &CollectionRules) -> BTreeMap<(&DatasetName, &ColumnName), &ColumnName> {
    let columns = rules.datasets().flat_map(|(_, declared)| declared.columns());
    let names = columns.filter_map(|(_, column)| match column.levels() {
        Levels::Codes(codes) => codes.names(),
        Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) => None,
    });
    let mut found = BTreeMap::new();
    for of in names {
        found.entry((&of.dataset, &of.code)).or_insert(&of.name);
    }
    found
}

/// The rules with the names that were found; `None` if no column has listed values with names. `stays` is whether the rows of a dataset stay,
/// and with them the names that are known.
pub(super) fn with_value_names(
    rules: &CollectionRules,
    columns: &[ListedColumn<'_>],
    found: &[FoundNames],
    stays: &dyn Fn(&DatasetName) -> bool,
) -> Option<CollectionRules> {
    let mut raw = rules.raw();
    let mut left = MAX_NAMES;
    for column in columns {
        let names = found.iter().find(|(of, _)| *of == column.of);
        let names = names.and_then(|(_, names)| column.names(names, stays(&column.of.dataset)));
        let bytes = names.as_ref().map_or(0, bytes);
        let declared = raw.datasets.get_mut(column.dataset)?.columns.get_mut(column.column)?;
        declared.names = names.filter(|_| bytes <= left);
        left = left.saturating_sub(bytes);
    }
    let is_changed = !columns.is_empty();
    is_changed
        .then(|| CollectionRules::check(raw, &columns_of(rules)).ok())
        .flatten()
}

impl ListedColumn<'_> {
    /// The listed values that have a name.
    fn names(&self, found: &BTreeMap<Value, String>, stays: bool) -> Option<ValueNames> {
        let before = self.before.filter(|before| stays && before.column == self.of.name);
        let known = |value: &Value| {
            let mut known = before.into_iter().flat_map(|before| before.values.iter());
            known.find(|listed| listed.value == *value).map(|listed| &listed.label)
        };
        let name = |value: &Value| match found.get(value) {
            Some(name) => ValueLabel::new(name).ok(),
            None => known(value).cloned(),
        };
        let named = self.listed.iter().filter_map(|listed| {
            Some(Listed {
                value: listed.value.clone(),
                label: name(&listed.value)?,
            })
        });
        let values = ListedValues::check(named.collect()).ok()?;
        Some(ValueNames {
            column: self.of.name.clone(),
            values,
        })
    }
}

fn bytes(names: &ValueNames) -> usize {
    let labels = names.values.iter().map(|listed| listed.label.as_str().len());
    labels.fold(0, usize::saturating_add)
}

fn columns_of(rules: &CollectionRules) -> KnownColumns {
    KnownColumns::new(rules.datasets().map(|(name, declared)| {
        let columns = declared
            .columns()
            .map(|(column, rules)| (column.clone(), rules.contents()));
        (name.clone(), columns.collect())
    }))
}
