//! Joins: equalities of two columns that have the same keys, and the steps from row to row that they are.

use concordat_protocol::{
    collection::{DatasetKind, KeyDomain, KeyLink, Levels},
    ids::{ColumnName, DatasetName},
};
use datafusion::{
    common::Column,
    logical_expr::{BinaryExpr, Expr, Operator},
};

use super::{
    columns::instance_of,
    state::{End, Instance, Lowering, Result, refused},
};
use crate::statistic::{forms::Form, paths::Step};

impl Lowering<'_> {
    /// The dataset of an instance; `None` if it has one row for each subject.
    pub(super) fn rows(&self, id: usize) -> Option<&DatasetName> {
        match self.instances.get(id)? {
            Instance::Rows(dataset) => Some(dataset),
            Instance::PerSubject { .. } => None,
        }
    }

    /// The two columns of an equality of keys.
    pub(super) fn edge(&self, expression: &Expr) -> Option<(End, End)> {
        let Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) = expression
        else {
            return None;
        };
        let a = self.key(left)?;
        let b = self.key(right)?;
        (a.0 != b.0).then_some((a, b))
    }

    /// The column of an instance, if it is one that joins.
    fn key(&self, expression: &Expr) -> Option<End> {
        let Expr::Column(column) = expression else {
            return None;
        };
        let id = instance_of(column)?;
        if self.is_subject(expression) {
            return Some((id, self.subject_name(id, column)?));
        }
        let dataset = self.rows(id)?;
        let name = ColumnName::new(&column.name).ok()?;
        let joins =
            self.known.is_key(dataset, &name) || self.known.is_reference(dataset) || self.is_coded(dataset, &name);
        joins.then_some((id, name))
    }

    fn subject_name(&self, id: usize, column: &Column) -> Option<ColumnName> {
        match self.instances.get(id)? {
            Instance::Rows(_) => ColumnName::new(&column.name).ok(),
            Instance::PerSubject { .. } => ColumnName::new("subject").ok(),
        }
    }

    fn is_coded(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let column = self.known.column(dataset, column);
        column.is_some_and(|column| matches!(column.levels, Levels::Codes(_)))
    }

    /// Refuses a join of a column that the grant shows in another form.
    pub(super) fn joinable<'a>(&self, edges: impl Iterator<Item = &'a (End, End)>) -> Result<()> {
        for (id, column) in edges.flat_map(|(a, b)| [a, b]) {
            if self
                .rows(*id)
                .is_some_and(|dataset| !self.known.is_joinable(dataset, column))
            {
                return Err(refused(Form::Joinable));
            }
        }
        Ok(())
    }

    /// Whether a column leads to the subject.
    pub(super) fn is_subject_end(&self, (id, column): &End) -> bool {
        self.rows(*id)
            .is_none_or(|dataset| self.known.is_subject(dataset, column))
    }

    /// The step from a row to at most one row of another dataset.
    pub(super) fn step(&self, from: &End, to: &End) -> Option<Step> {
        let of = self.rows(from.0)?;
        let dataset = self.rows(to.0)?;
        if self.is_subject_end(from) && self.is_subject_end(to) {
            let is_unique = matches!(self.known.kind(dataset), Some(DatasetKind::Keyed { unique: true, .. }));
            return is_unique.then(|| Step::Subject(dataset.clone()));
        }
        let key = KeyDomain::Key {
            dataset: dataset.clone(),
            column: to.1.clone(),
        };
        let domains =
            [(of, &from.1), (dataset, &to.1)].map(|(dataset, column)| self.known.rules().domain(dataset, column));
        let leads = domains.iter().all(|domain| domain.as_ref() == Some(&key)) || self.names_codes(of, &from.1, to);
        leads.then(|| {
            Step::Link(KeyLink {
                column: from.1.clone(),
                to: dataset.clone(),
                key: to.1.clone(),
            })
        })
    }

    /// Whether a reference dataset has one row with the name of each code of a column.
    fn names_codes(&self, of: &DatasetName, column: &ColumnName, to: &End) -> bool {
        let Some(Levels::Codes(codes)) = self.known.column(of, column).map(|column| &column.levels) else {
            return false;
        };
        codes.names().is_some_and(|names| {
            // Texts beside the codes are in rows of subjects, of which many have one code.
            let is_key = self.known.is_reference(&names.dataset) && self.known.is_key(&names.dataset, &names.code);
            is_key && Some(&names.dataset) == self.rows(to.0) && names.code == to.1
        })
    }
}
