//! The union of the tables of several members.
//!
//! Columns are matched by name without regard to case, unless a member has two columns whose names differ in nothing else. The union has the
//! spelling of the first member. Types that differ become one: whole numbers and numbers become numbers, dates and date-times become
//! date-times. A value that would be another one in that type ends the answer ([`converted`]). A column that cannot be combined, or that a
//! member lacks, is not an error unless a query uses it ([`UnionTable::conflict`], [`UnionTable::lacking`]).
//!
//! The last column is always [`INSTITUTION`]. A member's own column of this name gets another one ([`UnionTable::renamed`]), because no member
//! may decide by its columns which queries of the other members' rows there are.

mod members;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{Form, ShownColumn, form_of, shown_schema, with_values_of};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::Transform;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};

use super::error::FederationError;
use super::source::Target;
use values::type_label;
pub(super) use values::{converted, widened};

/// The column of a table of several members that names the institution of each row.
pub(super) const INSTITUTION: &str = "institution";

/// The columns of one member.
#[derive(Clone, Debug)]
pub(super) struct MemberColumns {
    /// The columns, with their types and forms.
    pub(super) schema: SchemaRef,
    /// Those in which no row has a value: their types fit to any other.
    pub(super) empty: BTreeSet<String>,
}

/// One member of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// The dataset to query.
    pub(super) target: Target,
    /// Its columns as they are shown to this node.
    pub(super) schema: SchemaRef,
    /// For each column of the union, the member's column; `None` if it has none.
    columns: Vec<Option<FieldRef>>,
    /// Those of its columns in which no row has a value.
    empty: BTreeSet<String>,
}

impl Member {
    /// The member's column for the column of the union at `index`.
    pub(super) fn column(&self, index: usize) -> Option<&FieldRef> {
        self.columns.get(index).and_then(Option::as_ref)
    }
}

/// The table of one or more members.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnionTable {
    /// The members, in the order of their datasets.
    pub(super) members: Vec<Member>,
    /// All columns. One that cannot be combined has no type.
    pub(super) schema: SchemaRef,
    conflicts: BTreeMap<String, Conflict>,
    /// The columns that members call [`INSTITUTION`], by their names here.
    renamed: BTreeSet<String>,
    /// Where the column [`INSTITUTION`] is; `None` for the table of one dataset.
    institution: Option<usize>,
}

/// Two members whose columns cannot be combined.
#[derive(Clone, Debug, PartialEq)]
struct Conflict {
    left: (Target, FieldRef),
    right: (Target, FieldRef),
}

impl UnionTable {
    /// The table of one dataset, with its columns as they are.
    pub(super) fn single(target: Target, schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().cloned().map(Some).collect();
        Self {
            members: vec![Member {
                target,
                schema: Arc::clone(&schema),
                columns,
                empty: BTreeSet::new(),
            }],
            schema,
            conflicts: BTreeMap::new(),
            renamed: BTreeSet::new(),
            institution: None,
        }
    }

    /// The union of the tables of all members that share `dataset`, with the column [`INSTITUTION`].
    pub(super) fn of_members(dataset: &DatasetName, members: Vec<(Target, MemberColumns)>) -> Self {
        let exact = names_that_differ_in_case(&members);
        let targets: Vec<Target> = members.iter().map(|(target, _)| target.clone()).collect();
        let mut columns: Vec<Column> = Vec::new();
        for (at, (_, shown)) in members.iter().enumerate() {
            for field in shown.schema.fields() {
                let key = key_of(field.name(), &exact);
                let empty = shown.empty.contains(field.name());
                match columns.iter_mut().find(|column| column.key == key) {
                    Some(column) => column.add(at, (field, empty), dataset),
                    None => columns.push(Column::new(key, at, (field, empty))),
                }
            }
        }
        let renamed = rename_institution(&mut columns);
        let institution = Some(columns.len());
        let mut fields: Vec<FieldRef> = columns.iter().map(Column::field).collect();
        fields.push(Arc::new(Field::new(INSTITUTION, DataType::Utf8, true)));
        let conflict = |column: &Column| {
            let (left, right) = column.conflict.clone()?;
            let of = |(at, field): (usize, FieldRef)| Some((targets.get(at)?.clone(), field));
            Some((
                column.name.clone(),
                Conflict {
                    left: of(left)?,
                    right: of(right)?,
                },
            ))
        };
        let conflicts = columns.iter().filter_map(conflict).collect();
        let member = |(at, (target, shown)): (usize, (Target, MemberColumns))| Member {
            target,
            schema: shown.schema,
            columns: columns.iter().map(|column| column.of.get(&at).cloned()).collect(),
            empty: shown.empty,
        };
        Self {
            conflicts,
            members: members.into_iter().enumerate().map(member).collect(),
            schema: Arc::new(Schema::new(fields)),
            renamed,
            institution,
        }
    }

    /// The columns that members call [`INSTITUTION`], if `columns` has such a column, or the institution of the row, which might be taken for
    /// it: the member, its name of the column, and the name here.
    pub(super) fn renamed(&self, columns: &BTreeSet<String>) -> Vec<(&Target, &str, &str)> {
        let mut renamed = Vec::new();
        for name in &self.renamed {
            let is_used = columns.contains(name) || columns.contains(INSTITUTION);
            let Some(at) = self.schema.index_of(name).ok().filter(|_| is_used) else {
                continue;
            };
            for member in &self.members {
                if let Some(own) = member.column(at) {
                    renamed.push((&member.target, own.name().as_str(), name.as_str()));
                }
            }
        }
        renamed
    }

    /// Whether columns have other names than at their members.
    pub(super) fn has_renamed(&self) -> bool {
        !self.renamed.is_empty()
    }

    /// The error if the column cannot be combined.
    pub(super) fn conflict(&self, column: &str) -> Option<FederationError> {
        let Conflict { left, right } = self.conflicts.get(column)?;
        Some(FederationError::SchemaMismatch {
            column: column.to_owned(),
            left: left.0.dataset.institution.clone(),
            left_type: label(&left.1),
            right: right.0.dataset.institution.clone(),
            right_type: label(&right.1),
        })
    }

    /// The members that lack one of `columns`, each with the first that it lacks.
    pub(super) fn lacking<'a>(&'a self, columns: &'a BTreeSet<String>) -> impl Iterator<Item = (&'a Target, &'a str)> {
        self.members.iter().filter_map(move |member| {
            let lacks = |name: &&String| {
                let at = self.schema.index_of(name).ok();
                at.is_some_and(|at| Some(at) != self.institution && member.column(at).is_none())
            };
            columns.iter().find(lacks).map(|name| (&member.target, name.as_str()))
        })
    }

    /// The same table with those members only for which `keep` is true.
    pub(super) fn retain(&mut self, keep: impl Fn(&Target) -> bool) {
        self.members.retain(|member| keep(&member.target));
    }

    /// Whether the column at `index` is [`INSTITUTION`].
    pub(super) fn is_institution(&self, index: usize) -> bool {
        self.institution == Some(index)
    }

    /// The rows of `batch`, an answer of `member`, as rows of the columns `shown` of this table.
    pub(super) fn rows_of(
        &self,
        member: &Member,
        batch: &RecordBatch,
        shown: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |(index, field): (&usize, &FieldRef)| -> Result<ArrayRef> {
            if self.is_institution(*index) {
                let name = member.target.dataset.institution.as_str();
                return Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, rows))));
            }
            let theirs = member
                .column(*index)
                .and_then(|theirs| batch.column_by_name(theirs.name()));
            converted(
                theirs,
                field.data_type(),
                rows,
                (&member.target.dataset, field.name().as_str()),
            )
        };
        let columns = shown
            .iter()
            .zip(schema.fields())
            .map(column)
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(DataFusionError::from)
    }
}

/// Gives columns that members call [`INSTITUTION`] names that no other column has, and returns these names.
fn rename_institution(columns: &mut [Column]) -> BTreeSet<String> {
    let mut used: BTreeSet<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    let mut renamed = BTreeSet::new();
    for column in columns {
        if !column.name.eq_ignore_ascii_case(INSTITUTION) {
            continue;
        }
        let mut names = (2_usize..).map(|number| format!("{INSTITUTION}_{number}"));
        if let Some(name) = names.find(|name| used.insert(name.clone())) {
            renamed.insert(name.clone());
            column.name = name;
        }
    }
    renamed
}

/// A column of the union while members are added.
struct Column {
    key: String,
    name: String,
    field: FieldRef,
    first: usize,
    /// Whether no member so far has a value in it.
    empty: bool,
    of: BTreeMap<usize, FieldRef>,
    conflict: Option<((usize, FieldRef), (usize, FieldRef))>,
}

impl Column {
    fn new(key: String, at: usize, (field, empty): (&FieldRef, bool)) -> Self {
        Self {
            key,
            name: field.name().clone(),
            field: Arc::clone(field),
            first: at,
            empty,
            of: BTreeMap::from([(at, Arc::clone(field))]),
            conflict: None,
        }
    }

    fn add(&mut self, at: usize, (field, empty): (&FieldRef, bool), dataset: &DatasetName) {
        self.of.insert(at, Arc::clone(field));
        if empty {
            return;
        }
        if std::mem::replace(&mut self.empty, false) {
            self.field = Arc::clone(field);
            self.first = at;
            return;
        }
        match combined(&self.name, &self.field, field, dataset) {
            Some(field) => self.field = field,
            None if self.conflict.is_none() => {
                let first = (self.first, self.of.get(&self.first).unwrap_or(&self.field).clone());
                self.conflict = Some((first, (at, Arc::clone(field))));
            }
            None => {}
        }
    }

    fn field(&self) -> FieldRef {
        match self.conflict {
            None => Arc::new(self.field.as_ref().clone().with_name(&self.name).with_nullable(true)),
            Some(_) => Arc::new(Field::new(&self.name, DataType::Null, true)),
        }
    }
}

/// One column for the values of both; `None` if there is none, or if values would mean something else.
fn combined(name: &str, left: &FieldRef, right: &FieldRef, dataset: &DatasetName) -> Option<FieldRef> {
    match (form_of(left), form_of(right)) {
        (Form::Clear, Form::Clear) => {
            let wider = widened(left.data_type(), right.data_type())?;
            Some(Arc::new(Field::new(name, wider, true)))
        }
        // Each member has its own pseudonyms, so those of the union are its own too.
        (Form::Pseudonym, Form::Pseudonym) => pseudonym(name, dataset),
        // Only what is true of the values of both: whole ages if both are, and the later one of the oldest years.
        (_, _) => with_values_of(left, right).map(Arc::new),
    }
}

/// A column of the pseudonyms of all members.
fn pseudonym(name: &str, dataset: &DatasetName) -> Option<FieldRef> {
    let column = ShownColumn {
        name: name.to_owned(),
        kind: ColumnKind::Text,
        transform: Transform::Pseudonym,
    };
    let schema = shown_schema(&format!("consortium.{dataset}"), &[column]).ok()?;
    schema.fields().first().cloned()
}

/// The names, in lower case, of columns that are distinguished only by case within one member.
fn names_that_differ_in_case(members: &[(Target, MemberColumns)]) -> BTreeSet<String> {
    let mut exact = BTreeSet::new();
    for (_, shown) in members {
        let mut seen = BTreeSet::new();
        for field in shown.schema.fields() {
            let lower = field.name().to_lowercase();
            if !seen.insert(lower.clone()) {
                exact.insert(lower);
            }
        }
    }
    exact
}

fn key_of(name: &str, exact: &BTreeSet<String>) -> String {
    let lower = name.to_lowercase();
    if exact.contains(&lower) { name.to_owned() } else { lower }
}

/// What a column holds, in error messages.
fn label(field: &FieldRef) -> String {
    match form_of(field) {
        Form::Band(width) => return format!("bands of {} years", width.years()),
        Form::Year => return "a year".to_owned(),
        Form::Pseudonym => return "a pseudonym".to_owned(),
        Form::Clear => {}
    }
    type_label(field.data_type())
}

#[cfg(test)]
mod tests;
