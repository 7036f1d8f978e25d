//! The names of declared values, codes and codes above these: those that a reference dataset has for the values of a column that leads there, in the column in which
//! codes of the same dataset have their names, and for listed codes in the column that is declared for them.
//!
//! They reveal nothing about a subject, and they are those of the rows that there are: when the reference dataset is imported, they are found
//! in all of its rows, and what was known before is left out. A value with two names has none.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{
        ANCESTORS_LEVEL, CodeNames, CollectionRules, ColumnRole, ColumnRules, Contents, KnownColumns, Levels, Listed,
        ListedValues, NAMED_LEVEL, RawCollectionRules, RawLevels, ValueLabel, ValueNames,
    },
    ids::{ColumnName, DatasetName, LevelName},
    scope::Value,
};

use super::{super::proposed::of_one_label, destination::Destination, write::Part};

/// Bytes of all names of listed values: the declarations that a permission shows are one message.
const MAX_NAMES: usize = 64 << 10;

/// The names that were found in one reference dataset.
pub(super) type FoundNames = (CodeNames, BTreeMap<Value, String>);

/// A column with declared values or codes that have names.
pub(super) struct NamedColumn<'a> {
    dataset: &'a DatasetName,
    column: &'a ColumnName,
    contents: Contents,
    pub(super) of: CodeNames,
    lists: Vec<&'a ListedValues>,
    /// Codes above listed ones that are groups: their names are labels of groups.
    above: Option<&'a ListedValues>,
}

impl NamedColumn<'_> {
    /// The values whose names are wanted. A code can be in two lists.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        let lists = self.lists.iter().copied().chain(self.above);
        lists.flat_map(ListedValues::iter).map(|listed| &listed.value)
    }

    /// The values that have a name.
    fn names(&self, found: &[FoundNames]) -> Vec<Listed> {
        let values = self.lists.iter().flat_map(|list| list.iter());
        let named = values.filter_map(|listed| self.named(&listed.value, found));
        let named: BTreeMap<Value, ValueLabel> = named.map(|Listed { value, label }| (value, label)).collect();
        let named = named.into_iter();
        named.map(|(value, label)| Listed { value, label }).collect()
    }

    /// The codes above listed ones that have a name, which no other one of them has.
    fn ancestors(&self, found: &[FoundNames]) -> Vec<Listed> {
        let above = self.above.into_iter().flat_map(ListedValues::iter);
        of_one_label(above.filter_map(|listed| self.named(&listed.value, found)).collect())
    }

    fn named(&self, value: &Value, found: &[FoundNames]) -> Option<Listed> {
        let (_, names) = found.iter().find(|(of, _)| *of == self.of)?;
        let label = ValueLabel::new(names.get(value)?).ok()?;
        Some(Listed {
            value: value.clone(),
            label,
        })
    }
}

/// The columns with declared values or codes whose names are in a dataset among the parts.
pub(super) fn named_columns<'a>(
    parts: &[Part<'_>],
    rules: &'a CollectionRules,
    destination: &Destination,
) -> Vec<NamedColumn<'a>> {
    let known = columns_with_names(rules);
    let mut found = Vec::new();
    for (dataset, declared) in rules.datasets() {
        for (column, rules) in declared.columns() {
            let wanted = wanted((dataset, rules), &known, destination);
            let wanted = wanted
                .filter(|(of, lists, above)| is_part(parts, &of.dataset) && (!lists.is_empty() || above.is_some()));
            if let Some((of, lists, above)) = wanted {
                found.push(NamedColumn {
                    dataset,
                    column,
                    contents: rules.contents(),
                    of,
                    lists,
                    above,
                });
            }
        }
    }
    found
}

/// Where the values of a column have names, the values, and the codes above them that are groups.
fn wanted<'a>(
    (dataset, rules): (&DatasetName, &'a ColumnRules),
    known: &BTreeMap<(&DatasetName, &ColumnName), &ColumnName>,
    destination: &Destination,
) -> Option<(CodeNames, Vec<&'a ListedValues>, Option<&'a ListedValues>)> {
    match (rules.levels(), rules.role()) {
        (Levels::Codes(codes), _) => {
            // Texts beside codes are found with the list of the codes.
            let of = codes.names().filter(|of| of.dataset != *dataset)?;
            let lists = codes.listed().into_iter().chain(codes.named());
            Some((of.clone(), lists.collect(), codes.ancestors()))
        }
        (Levels::Values(listed), ColumnRole::Link { to, key }) => {
            // Rows that are added can have another name for a value that has one.
            let before = rules.names().filter(|_| destination.stays_of(to).is_some());
            let name = known.get(&(to, key)).copied();
            let name = name.or_else(|| before.map(|names| &names.column));
            let of = CodeNames {
                dataset: to.clone(),
                code: key.clone(),
                name: name?.clone(),
            };
            Some((of, vec![listed], None))
        }
        (Levels::Values(_), ColumnRole::Subject | ColumnRole::Key | ColumnRole::Value)
        | (Levels::None | Levels::Truth | Levels::Edges(_), _) => None,
    }
}

fn is_part(parts: &[Part<'_>], dataset: &DatasetName) -> bool {
    parts.iter().any(|part| part.prepared.name == dataset)
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

/// The rules with the names that were found; `None` if these are the ones that they have.
pub(super) fn with_names(
    rules: &CollectionRules,
    columns: &[NamedColumn<'_>],
    found: &[FoundNames],
    parts: &[Part<'_>],
) -> Option<CollectionRules> {
    let before = rules.raw();
    let mut raw = before.clone();
    leave_out_names(&mut raw, &|dataset| is_part(parts, dataset));
    let kept = raw.datasets.values().flat_map(|declared| declared.columns.values());
    let kept = kept.filter_map(|column| column.names.as_ref()).map(bytes);
    let mut left = MAX_NAMES.saturating_sub(kept.fold(0, usize::saturating_add));
    for column in columns {
        let declared = raw.datasets.get_mut(column.dataset)?.columns.get_mut(column.column)?;
        let named = column.names(found);
        if matches!(declared.levels, RawLevels::Codes { .. }) {
            let ancestors = column.ancestors(found);
            declared.levels = with_level(&declared.levels, (NAMED_LEVEL, named), column.contents);
            declared.levels = with_level(&declared.levels, (ANCESTORS_LEVEL, ancestors), column.contents);
            continue;
        }
        let names = ListedValues::check(named).ok().map(|values| ValueNames {
            column: column.of.name.clone(),
            values,
        });
        declared.names = names.filter(|names| bytes(names) <= left);
        left = left.saturating_sub(declared.names.as_ref().map_or(0, bytes));
    }
    (raw != before)
        .then(|| CollectionRules::check(raw, &columns_of(rules)).ok())
        .flatten()
}

/// Leaves out the names of listed values of columns that lead to a dataset that is imported: they are found again, or are those of rows that are
/// not there any more.
fn leave_out_names(raw: &mut RawCollectionRules, is_imported: &dyn Fn(&DatasetName) -> bool) {
    let columns = raw.datasets.values_mut();
    for column in columns.flat_map(|declared| declared.columns.values_mut()) {
        if let ColumnRole::Link { to, .. } = &column.role
            && is_imported(to)
        {
            column.names = None;
        }
    }
}

/// The levels of codes with these names at one of them, and no others.
fn with_level(levels: &RawLevels, (name, named): (&str, Vec<Listed>), contents: Contents) -> RawLevels {
    let mut without = levels.clone();
    let mut with = levels.clone();
    let Ok(level) = LevelName::new(name) else {
        return without;
    };
    if let RawLevels::Codes { levels, .. } = &mut without {
        levels.remove(&level);
    }
    if let RawLevels::Codes { levels, .. } = &mut with {
        levels.insert(level, named);
    }
    // There can be too many levels, or no name.
    if Levels::check(with.clone(), contents).is_ok() {
        with
    } else {
        without
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
