//! The texts that describe codes in the same row, such as `DESCRIPTION` beside `CODE`. A query that names codes and groups by the text has
//! the texts of these codes as groups, and not all that are listed.
//!
//! As for lists of codes, subjects are counted: a code has the text which at least as many subjects have with it as a cell has. If there are
//! two of them it has none, and queries have all texts. Texts that fewer subjects have with it are among all others in any case.
//!
//! Subjects are counted by the keys in the rows of the import, and not by their owners: a key that is written in two forms counts twice, and a
//! key that leads to no subject counts too. Both the code and the text are listed by their owners before.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{array::Array as _, array::AsArray as _, record_batch::RecordBatch};
use concordat_protocol::{
    collection::{CollectionRules, Contents, DatasetKind, ListedValues},
    ids::ColumnName,
    scope::Value,
};
use tokio::runtime::Handle;

use super::{
    super::{ProposedColumn, version::collection::contents},
    ImportError,
    code_names::{MAX_NAME, code_at, names_of},
    write::Part,
};

/// The positions of columns.
#[derive(Clone, Copy)]
struct Columns {
    subject: usize,
    code: usize,
    text: usize,
}

/// A column with listed codes, and the texts beside them.
struct Described {
    column: ColumnName,
    contents: Contents,
    columns: Columns,
    /// The texts that are listed.
    listed: BTreeSet<String>,
    /// For each listed code the subjects with each text, as many as are needed.
    subjects: BTreeMap<Value, BTreeMap<String, BTreeSet<Value>>>,
    least: usize,
}

/// Adds the texts of the codes in the proposed lists of a dataset.
pub(super) fn add_descriptions(
    runtime: &Handle,
    part: &mut Part<'_>,
    rules: &CollectionRules,
) -> Result<(), ImportError> {
    let mut described = described(part, rules);
    if described.is_empty() {
        return Ok(());
    }
    part.prepared.for_each(runtime, &mut |batch| {
        for described in &mut described {
            described.add(&batch);
        }
        Ok(())
    })?;
    for described in described {
        if let Some(proposed) = part.proposed.get_mut(&described.column) {
            proposed.add_names(&described.texts(), described.contents);
        }
    }
    Ok(())
}

fn described(part: &Part<'_>, rules: &CollectionRules) -> Vec<Described> {
    let prepared = part.prepared;
    let DatasetKind::Keyed { subject, .. } = &prepared.kind else {
        return Vec::new();
    };
    let found = part.proposed.iter().filter_map(|(column, proposed)| {
        let of = names_of(rules, prepared.name, column).filter(|of| of.dataset == *prepared.name)?;
        let texts = part.proposed.get(&of.name).and_then(ProposedColumn::listed)?;
        let meta = prepared.shape.columns().iter().find(|meta| meta.name == *column)?;
        let codes = proposed.listed()?.iter();
        Some(Described {
            column: column.clone(),
            contents: contents(meta.kind, meta.empty),
            columns: Columns {
                subject: prepared.shape.index_of(subject)?,
                code: prepared.shape.index_of(column)?,
                text: prepared.shape.index_of(&of.name)?,
            },
            listed: texts_in(texts),
            subjects: codes.map(|code| (code.value.clone(), BTreeMap::new())).collect(),
            least: usize::try_from(prepared.proposing.least).unwrap_or(usize::MAX),
        })
    });
    found.collect()
}

fn texts_in(listed: &ListedValues) -> BTreeSet<String> {
    let texts = listed.iter().filter_map(|listed| match &listed.value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) => None,
    });
    texts.collect()
}

impl Described {
    fn add(&mut self, batch: &RecordBatch) {
        let of = batch.columns();
        let Columns { subject, code, text } = self.columns;
        let (Some(subjects), Some(codes), Some(texts)) = (of.get(subject), of.get(code), of.get(text)) else {
            return;
        };
        let Some(texts) = texts.as_string_opt::<i32>() else {
            return;
        };
        for row in 0..batch.num_rows() {
            let (Some(code), Some(subject)) = (code_at(codes, row), code_at(subjects, row)) else {
                continue;
            };
            let text = (!texts.is_null(row)).then(|| texts.value(row));
            let text = text.filter(|text| self.listed.contains(*text));
            let (Some(text), Some(known)) = (text, self.subjects.get_mut(&code)) else {
                continue;
            };
            match known.get_mut(text) {
                Some(of_text) if of_text.len() < self.least => {
                    of_text.insert(subject);
                }
                Some(_) => {}
                None => {
                    known.insert(text.to_owned(), BTreeSet::from([subject]));
                }
            }
        }
    }

    /// The codes with one text.
    fn texts(&self) -> BTreeMap<Value, String> {
        let codes = self.subjects.iter().filter_map(|(code, texts)| {
            let mut frequent = texts.iter().filter(|(_, subjects)| subjects.len() >= self.least);
            match (frequent.next(), frequent.next()) {
                (Some((text, _)), None) if text.len() <= MAX_NAME => Some((code.clone(), text.clone())),
                (Some(_) | None, _) => None,
            }
        });
        codes.collect()
    }
}
