//! The names of codes in proposed lists, and of listed values: groups by the name of a code are decided by what is declared, so that the
//! names are declared too.
//!
//! They are read once more from the rows of the reference dataset, after everything is written: which codes are in a list is known then. If
//! rows are added, those that stay are read too. A code that has two names has none, and neither has any code in a proposed list whose
//! reference dataset is not imported with it.

use std::collections::BTreeMap;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::Int64Type,
    record_batch::RecordBatch,
};
use concordat_protocol::{
    collection::{CodeNames, CollectionRules, Levels, ListedValues},
    ids::{ColumnName, DatasetName},
    scope::Value,
};
use tokio::runtime::Handle;

use super::{
    super::{ProposedColumn, ProposedColumns, version::collection::contents},
    ImportError,
    destination::Destination,
    prepared::Prepared,
    stored_rows::for_each_stored,
    value_names::{FoundNames, named_columns, with_names},
    write::Part,
};

/// The longest name that is declared, in bytes: declarations are one message.
pub(super) const MAX_NAME: usize = 128;

/// The codes that are listed, with the name of each as far as it is known.
type Names = BTreeMap<Value, Option<String>>;

/// The codes of one reference dataset that are listed.
struct Wanted {
    of: CodeNames,
    names: Names,
}

/// The names that were found in all reference datasets that are imported.
pub(super) struct Named {
    /// The rules with the names of declared values and codes; `None` if these stay as they are.
    pub(super) rules: Option<CollectionRules>,
    pub(super) found: Vec<FoundNames>,
}

/// Adds the names of the codes in the lists that are proposed from the parts, and finds those of declared values and codes, and of the lists that
/// were proposed before.
pub(super) fn add_names(
    runtime: &Handle,
    parts: &mut [Part<'_>],
    rules: &CollectionRules,
    destination: &Destination,
    before: &ProposedColumns,
) -> Result<Named, ImportError> {
    let declared = named_columns(parts, rules, destination);
    let mut wanted = wanted(parts, rules);
    for column in &declared {
        add(&mut wanted, &column.of, column.values());
    }
    for (of, proposed) in proposed_codes(rules, before) {
        let lists = proposed.listed().into_iter().chain(proposed.ancestors());
        let listed = lists.flat_map(ListedValues::iter);
        add(&mut wanted, of, listed.map(|code| &code.value));
    }
    let mut all: Vec<FoundNames> = Vec::new();
    for Wanted { of, mut names } in wanted {
        read(runtime, parts, destination, &of, &mut names)?;
        let found = names.into_iter().filter_map(|(code, name)| Some((code, name?)));
        let found: BTreeMap<Value, String> = found.collect();
        for part in &mut *parts {
            let columns = part.prepared.shape.columns();
            for (column, proposed) in &mut part.proposed {
                let meta = columns.iter().find(|meta| meta.name == *column);
                if let Some(meta) = meta.filter(|_| names_of(rules, part.prepared.name, column) == Some(&of)) {
                    proposed.add_names(&found, contents(meta.kind, meta.empty));
                }
            }
        }
        if parts.iter().any(|part| *part.prepared.name == of.dataset) {
            all.push((of, found));
        }
    }
    Ok(Named {
        rules: with_names(rules, &declared, &all, parts),
        found: all,
    })
}

/// The proposed lists of codes, and where these have their names.
fn proposed_codes<'a>(
    rules: &'a CollectionRules,
    proposed: &'a ProposedColumns,
) -> impl Iterator<Item = (&'a CodeNames, &'a ProposedColumn)> {
    proposed.iter().flat_map(move |(dataset, columns)| {
        let of = move |column: &ColumnName| names_of(rules, dataset, column).filter(|of| of.dataset != *dataset);
        columns
            .iter()
            .filter_map(move |(column, proposed)| Some((of(column)?, proposed)))
    })
}

/// Gives the codes of lists that were proposed before the names that were found.
pub(super) fn rename(proposed: &mut ProposedColumns, rules: &CollectionRules, found: &[FoundNames]) {
    for (dataset, columns) in proposed {
        for (column, proposed) in columns {
            let declared = rules.dataset(dataset).and_then(|rules| rules.column(column));
            let of = names_of(rules, dataset, column).filter(|of| of.dataset != *dataset);
            let names = found.iter().find(|(known, _)| Some(known) == of);
            if let (Some(declared), Some((_, names))) = (declared, names) {
                proposed.add_names(names, declared.contents());
                proposed.rename_ancestors(names, declared.contents());
            }
        }
    }
}

/// Where a column's codes have their names.
pub(super) fn names_of<'a>(
    rules: &'a CollectionRules,
    dataset: &DatasetName,
    column: &ColumnName,
) -> Option<&'a CodeNames> {
    match rules.dataset(dataset)?.column(column)?.levels() {
        Levels::Codes(codes) => codes.names(),
        Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) => None,
    }
}

/// The listed codes of all columns, by the reference dataset that names them.
fn wanted(parts: &[Part<'_>], rules: &CollectionRules) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for part in parts {
        for (column, proposed) in &part.proposed {
            let of = names_of(rules, part.prepared.name, column).filter(|of| of.dataset != *part.prepared.name);
            let Some((of, listed)) = of.zip(proposed.listed()) else {
                continue;
            };
            add(&mut wanted, of, listed.iter().map(|code| &code.value));
        }
    }
    wanted
}

fn add<'v>(wanted: &mut Vec<Wanted>, of: &CodeNames, codes: impl Iterator<Item = &'v Value>) {
    let codes = codes.map(|code| (code.clone(), None));
    match wanted.iter_mut().find(|known| known.of == *of) {
        Some(known) => known.names.extend(codes),
        None => wanted.push(Wanted {
            of: of.clone(),
            names: codes.collect(),
        }),
    }
}

/// Reads the names from the rows of the reference dataset, if it is among the parts.
fn read(
    runtime: &Handle,
    parts: &[Part<'_>],
    destination: &Destination,
    of: &CodeNames,
    names: &mut Names,
) -> Result<(), ImportError> {
    let Some(prepared) = parts
        .iter()
        .map(|part| part.prepared)
        .find(|prepared| *prepared.name == of.dataset)
    else {
        return Ok(());
    };
    let columns = prepared.shape.index_of(&of.code).zip(prepared.shape.index_of(&of.name));
    let Some((code, name)) = columns else {
        return Ok(());
    };
    let mut ambiguous = Vec::new();
    for_each_row(runtime, prepared, destination, &mut |batch| {
        add_rows(batch, (code, name), names, &mut ambiguous);
    })?;
    for code in ambiguous {
        names.remove(&code);
    }
    Ok(())
}

/// Passes on the rows that stay, and those that are added, with the columns of the version.
fn for_each_row(
    runtime: &Handle,
    prepared: &Prepared<'_>,
    destination: &Destination,
    each: &mut dyn FnMut(&RecordBatch),
) -> Result<(), ImportError> {
    if let (Some(version), Some(stays)) = (&destination.previous, destination.stays_of(prepared.name)) {
        for_each_stored(runtime, version, stays, &mut |batch| {
            each(&prepared.shape.conform(batch)?);
            Ok(())
        })?;
    }
    prepared.for_each(runtime, &mut |batch| {
        each(&batch);
        Ok(())
    })
}

/// Adds the names in some rows, and notes the codes that have another one already.
fn add_rows(batch: &RecordBatch, (code, name): (usize, usize), names: &mut Names, ambiguous: &mut Vec<Value>) {
    let columns = batch.columns();
    let (Some(codes), Some(labels)) = (columns.get(code), columns.get(name)) else {
        return;
    };
    let Some(labels) = labels.as_string_opt::<i32>() else {
        return;
    };
    for row in 0..batch.num_rows() {
        let label = (!labels.is_null(row)).then(|| labels.value(row));
        let label = label.filter(|label| label.len() <= MAX_NAME);
        let (Some(code), Some(label)) = (code_at(codes, row), label) else {
            continue;
        };
        let Some(known) = names.get_mut(&code) else {
            continue;
        };
        match known {
            Some(other) if other == label => {}
            Some(_) => ambiguous.push(code),
            None => *known = Some(label.to_owned()),
        }
    }
}

/// The code in a row: a whole number or a text.
pub(super) fn code_at(codes: &ArrayRef, row: usize) -> Option<Value> {
    if codes.is_null(row) {
        return None;
    }
    if let Some(wholes) = codes.as_primitive_opt::<Int64Type>() {
        return Some(Value::Int(wholes.value(row)));
    }
    let texts = codes.as_string_opt::<i32>()?;
    Some(Value::Text(texts.value(row).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn code_with_two_names_has_none() {
        let codes: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(1),
            Some(2),
            Some(2),
            Some(3),
            None,
            Some(4),
        ]));
        let labels = vec![
            Some("gout"),
            Some("asthma"),
            Some("other asthma"),
            Some("not listed"),
            Some("missing"),
            None,
        ];
        let labels: ArrayRef = Arc::new(StringArray::from(labels));
        let batch = RecordBatch::try_from_iter([("id", codes), ("name", labels)]).unwrap();
        let mut names: Names = [1, 2, 4].map(|code| (Value::Int(code), None)).into();
        let mut ambiguous = Vec::new();
        // The same rows again are no other names.
        for _ in 0..2 {
            add_rows(&batch, (0, 1), &mut names, &mut ambiguous);
        }
        assert_eq!(names[&Value::Int(1)].as_deref(), Some("gout"));
        assert_eq!(names[&Value::Int(4)], None);
        assert!(!ambiguous.is_empty() && ambiguous.iter().all(|code| *code == Value::Int(2)));
    }
}
