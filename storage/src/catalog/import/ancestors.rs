//! The codes above listed ones that are groups, such as the ingredients of drugs: those of the class that is declared, with their names.
//!
//! They are read once more from the rows of reference datasets, after everything is written: which codes are in a list is known then.
//!
//! 1. The dataset with the names of codes has the codes of the class. A code with two names is none of them, and neither are two codes with
//!    one name: a group by names would be about both.
//! 2. The pairs of the hierarchy have those above the listed codes.
//! 3. Each column gets those above its own codes, if they are not more than a query can have as groups. Otherwise it gets those above most
//!    of them. The codes that are left out are together the group of all others, as codes are that are not listed.
//!
//! Without the rows of both datasets in the import there are none.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    record_batch::RecordBatch,
};
use concordat_protocol::{
    collection::{AncestorGroups, CodeNames, CollectionRules, Hierarchy, Levels, ListedValues},
    ids::{ColumnName, DatasetName},
    scope::Value,
};
use tokio::runtime::Handle;

use super::{
    super::{ProposedColumn, version::collection::contents},
    ImportError,
    code_names::{MAX_NAME, code_at},
    write::Part,
};

/// Most groups of a column: with two figures for each of them and for all others they are as many as a query has cells.
const MAX_GROUPS: usize = 249;
/// Bytes of all groups as they are declared: the declarations that a permission shows are one message.
const MAX_BYTES: usize = 64 << 10;
/// Bytes of a group beside its code and its name.
const ENTRY_BYTES: usize = 20;
/// Most codes of a class, which are in memory with their names. A larger class has no groups.
const MAX_CLASS: usize = 200_000;

/// Where the codes above others are, and which of them are groups.
#[derive(Clone, Copy, PartialEq)]
struct Source<'r> {
    hierarchy: &'r Hierarchy,
    groups: &'r AncestorGroups,
    names: &'r CodeNames,
}

/// The codes above the listed ones of all columns with one source.
struct Above<'r> {
    source: Source<'r>,
    class: Class,
    /// For each listed code those of the class above it.
    of_code: BTreeMap<Value, BTreeSet<Value>>,
}

/// Adds the groups above the codes in the proposed lists.
pub(super) fn add_ancestors(
    runtime: &Handle,
    parts: &mut [Part<'_>],
    rules: &CollectionRules,
) -> Result<(), ImportError> {
    let mut left = MAX_BYTES;
    for mut above in wanted(parts, rules) {
        above.read(runtime, parts)?;
        for part in &mut *parts {
            let columns = part.prepared.shape.columns();
            for (column, proposed) in &mut part.proposed {
                let meta = columns.iter().find(|meta| meta.name == *column);
                let is_of = Source::of(rules, part.prepared.name, column) == Some(above.source);
                let Some(meta) = meta.filter(|_| is_of) else {
                    continue;
                };
                let groups = above.groups_of(proposed);
                let bytes = groups.iter().map(|(code, name)| bytes(code, name));
                let bytes = bytes.fold(0, usize::saturating_add);
                if bytes <= left {
                    left = left.saturating_sub(bytes);
                    proposed.add_ancestors(&groups, contents(meta.kind, meta.empty));
                }
            }
        }
    }
    Ok(())
}

/// How many bytes a group takes as it is declared.
fn bytes(code: &Value, name: &str) -> usize {
    let code = code.to_string().len();
    code.saturating_add(name.len()).saturating_add(ENTRY_BYTES)
}

/// The sources of all columns with proposed lists, with the listed codes.
fn wanted<'r>(parts: &[Part<'_>], rules: &'r CollectionRules) -> Vec<Above<'r>> {
    let mut wanted: Vec<Above<'r>> = Vec::new();
    for part in parts {
        for (column, proposed) in &part.proposed {
            let source = Source::of(rules, part.prepared.name, column);
            let Some((source, listed)) = source.zip(proposed.listed()) else {
                continue;
            };
            let codes = listed.iter().map(|code| (code.value.clone(), BTreeSet::new()));
            match wanted.iter_mut().find(|known| known.source == source) {
                Some(known) => known.of_code.extend(codes),
                None => wanted.push(Above {
                    source,
                    class: Class::default(),
                    of_code: codes.collect(),
                }),
            }
        }
    }
    wanted
}

impl<'r> Source<'r> {
    /// `None` if no codes above those of the column are groups.
    fn of(rules: &'r CollectionRules, dataset: &DatasetName, column: &ColumnName) -> Option<Self> {
        let Levels::Codes(codes) = rules.dataset(dataset)?.column(column)?.levels() else {
            return None;
        };
        let hierarchy = codes.hierarchy()?;
        Some(Self {
            hierarchy,
            groups: hierarchy.groups.as_ref()?,
            names: codes.names()?,
        })
    }
}

impl Above<'_> {
    fn read(&mut self, runtime: &Handle, parts: &[Part<'_>]) -> Result<(), ImportError> {
        let Source {
            hierarchy,
            groups,
            names,
        } = self.source;
        let mut class = Class::default();
        let columns = [&names.code, &names.name, &groups.column];
        read(runtime, parts, (&names.dataset, columns), &mut |rows| {
            class.add_rows(rows, groups.class.as_str());
        })?;
        self.class = class.of_one_name();
        let columns = [&hierarchy.ancestor, &hierarchy.descendant];
        read(runtime, parts, (&hierarchy.dataset, columns), &mut |[above, below]| {
            self.add_pairs(above, below);
        })
    }

    fn add_pairs(&mut self, above: &ArrayRef, below: &ArrayRef) {
        for row in 0..below.len() {
            let known = code_at(below, row).and_then(|below| self.of_code.get_mut(&below));
            let Some((known, above)) = known.zip(code_at(above, row)) else {
                continue;
            };
            if self.class.names.contains_key(&above) {
                known.insert(above);
            }
        }
    }

    /// The groups above the listed codes of a column, with their names, in the order of the codes.
    fn groups_of(&self, proposed: &ProposedColumn) -> Vec<(&Value, &str)> {
        let listed = proposed.listed().into_iter().flat_map(ListedValues::iter);
        let mut below: BTreeMap<&Value, usize> = BTreeMap::new();
        for above in listed.filter_map(|code| self.of_code.get(&code.value)).flatten() {
            let codes = below.entry(above).or_default();
            *codes = codes.saturating_add(1);
        }
        let mut found: Vec<(&Value, usize)> = below.into_iter().collect();
        // Those above as many codes stay in the order of their own.
        found.sort_by_key(|(_, codes)| Reverse(*codes));
        found.truncate(MAX_GROUPS);
        let named = found.into_iter();
        let named = named.filter_map(|(code, _)| Some((code, self.class.names.get(code)?.as_str())));
        let mut named: Vec<(&Value, &str)> = named.collect();
        named.sort();
        named
    }
}

/// The codes of a class.
#[derive(Default)]
struct Class {
    names: BTreeMap<Value, String>,
    /// The first code with each name.
    codes: BTreeMap<String, Value>,
    /// Codes with two names, and those of which another one has the name.
    ambiguous: BTreeSet<Value>,
}

impl Class {
    /// Adds the rows of this class: their codes, names and classes.
    fn add_rows(&mut self, [codes, names, classes]: [&ArrayRef; 3], class: &str) {
        let (Some(names), Some(classes)) = (names.as_string_opt::<i32>(), classes.as_string_opt::<i32>()) else {
            return;
        };
        for row in 0..codes.len() {
            let is_of = !classes.is_null(row) && classes.value(row) == class;
            let name = (is_of && !names.is_null(row)).then(|| names.value(row));
            let Some((code, name)) = code_at(codes, row).zip(name) else {
                continue;
            };
            if self.names.len() <= MAX_CLASS {
                self.add(code, name);
            }
        }
    }

    fn add(&mut self, code: Value, name: &str) {
        match self.codes.get(name) {
            Some(known) if *known == code => {}
            Some(known) => self.ambiguous.extend([known.clone(), code.clone()]),
            None => {
                self.codes.insert(name.to_owned(), code.clone());
            }
        }
        match self.names.get(&code) {
            Some(known) if known == name => {}
            Some(_) => {
                self.ambiguous.insert(code);
            }
            None => {
                self.names.insert(code, name.to_owned());
            }
        }
    }

    /// The codes with one name, which no other one of the class has. A class that is too large has none.
    fn of_one_name(mut self) -> Self {
        if self.names.len() > MAX_CLASS {
            return Self::default();
        }
        let Self { names, ambiguous, .. } = &mut self;
        names.retain(|code, name| name.len() <= MAX_NAME && !ambiguous.contains(code));
        self
    }
}

/// Reads these columns of the rows of a dataset, if it is among the parts and has them.
fn read<const N: usize>(
    runtime: &Handle,
    parts: &[Part<'_>],
    (dataset, columns): (&DatasetName, [&ColumnName; N]),
    add: &mut dyn FnMut([&ArrayRef; N]),
) -> Result<(), ImportError> {
    let part = parts.iter().find(|part| *part.prepared.name == *dataset);
    let Some(prepared) = part.map(|part| part.prepared) else {
        return Ok(());
    };
    let found = columns.map(|column| prepared.shape.index_of(column));
    prepared.for_each(runtime, &mut |batch: RecordBatch| {
        let arrays = found.map(|found| batch.columns().get(found?));
        let arrays: Option<Vec<&ArrayRef>> = arrays.into_iter().collect();
        if let Some(Ok(arrays)) = arrays.map(<[&ArrayRef; N]>::try_from) {
            add(arrays);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn codes_of_a_class_have_one_name_of_their_own() {
        let rows = [
            (1, Some("aspirin"), Some("Ingredient")),
            (2, Some("ibuprofen"), Some("Ingredient")),
            // A second name, and a name that another one has.
            (3, Some("a"), Some("Ingredient")),
            (3, Some("b"), Some("Ingredient")),
            (4, Some("same"), Some("Ingredient")),
            (5, Some("same"), Some("Ingredient")),
            // Another class, and none; a name of another class does not matter.
            (6, Some("aspirin"), Some("Clinical Drug")),
            (7, Some("celecoxib"), None),
            (8, None, Some("Ingredient")),
            // The same row again is no second name.
            (1, Some("aspirin"), Some("Ingredient")),
        ];
        let codes: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
        let names: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
        let classes: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>());
        let mut class = Class::default();
        class.add_rows([&codes, &names, &classes], "Ingredient");
        let names = class.of_one_name().names;
        let expected = [(1, "aspirin"), (2, "ibuprofen")];
        let expected = expected.map(|(code, name)| (Value::Int(code), name.to_owned()));
        assert_eq!(names, BTreeMap::from(expected));
    }

    #[test]
    fn class_that_is_too_large_has_no_groups() {
        let mut class = Class::default();
        for code in (0_i64..).take(MAX_CLASS + 1) {
            class.add(Value::Int(code), &code.to_string());
        }
        assert!(class.of_one_name().names.is_empty());
    }
}
