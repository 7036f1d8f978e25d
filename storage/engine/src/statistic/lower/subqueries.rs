//! `EXISTS` and `IN (SELECT …)`: about the subject of the row, or about codes of it in a reference dataset.

use std::collections::BTreeSet;

use concordat_protocol::{
    collection::{KeyDomain, Levels},
    ids::{ColumnName, DatasetName},
};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr};

use super::{
    attach::Attached,
    columns::instance_of,
    state::{Frame, Instance, Lowering, Relation, Result, refused},
};
use crate::statistic::{
    forms::Form,
    terms::Condition,
    terms::{EventSet, KeyList, Quantity},
};

impl Lowering<'_> {
    /// Whether a subquery has a row; with `operand`, one whose only column equals it.
    pub(super) fn exists(
        &mut self,
        plan: &LogicalPlan,
        operand: Option<&Expr>,
        frame: &Frame<'_>,
    ) -> Result<Condition> {
        let mut relation = self.relation(plan)?;
        if let Some(operand) = operand {
            let [column] = relation.columns.as_slice() else {
                return Err(refused(Form::Subquery));
            };
            let equal = binary_expr(operand.clone(), Operator::Eq, column.expr.clone());
            relation.conjuncts.push(equal);
        }
        let attached = self.attach(&relation, Some(frame.this), &BTreeSet::new())?;
        match attached.root() {
            Some(root) if attached.is_correlated && self.has_subjects(root) => {
                if !attached.lookups.is_empty() {
                    return Err(refused(Form::Subquery));
                }
                let dataset = self.dataset_of(root)?;
                let rows = self.rows_of(&relation, &attached, Some(frame.this))?;
                let of = Box::new(EventSet { dataset, rows });
                Ok(Condition::Events { of, exist: true })
            }
            // Each subject has one row, so that what must be true of it is true of the subject.
            None if attached.is_correlated && attached.lookups.is_empty() => {
                let rows = self.rows_of(&relation, &attached, None)?;
                self.known.is_true(rows).ok_or_else(|| refused(Form::Subquery))
            }
            Some(root) if !attached.is_correlated => {
                let listed = self.key_list(&relation, &attached, root, frame)?;
                if operand.is_some() {
                    return Ok(listed);
                }
                self.known.is_true(listed).ok_or_else(|| refused(Form::Subquery))
            }
            Some(_) | None => Err(refused(Form::Subquery)),
        }
    }

    /// The codes that rows of a reference dataset list.
    fn key_list(
        &mut self,
        relation: &Relation,
        attached: &Attached,
        root: usize,
        frame: &Frame<'_>,
    ) -> Result<Condition> {
        let dataset = self.dataset_of(root)?;
        let [(inner, around)] = attached.lookups.as_slice() else {
            return Err(refused(Form::Subquery));
        };
        let is_plain = !attached.has_events() && !attached.has_listings();
        if !self.known.is_reference(&dataset) || instance_of(inner) != Some(root) || !is_plain {
            return Err(refused(Form::Subquery));
        }
        let Quantity::Column(of) = self.quantity_of(around, frame)? else {
            return Err(refused(Form::Subquery));
        };
        let key = ColumnName::new(&inner.name).map_err(|_| refused(Form::Subquery))?;
        if !self.lists((of.dataset(), of.column()), &dataset, &key) {
            return Err(refused(Form::Subquery));
        }
        let rows = self.rows_of(relation, attached, None)?;
        let list = Box::new(KeyList { dataset, key, rows });
        Ok(Condition::Listed { of, list, is_in: true })
    }

    /// Whether a column of a reference dataset has codes of this column: those below others, those with names, or those it links to.
    pub(super) fn lists(
        &self,
        (from, of): (&DatasetName, &ColumnName),
        dataset: &DatasetName,
        key: &ColumnName,
    ) -> bool {
        // Without an open list, which rows are listed would be more than the levels distinguish.
        let Some(Levels::Codes(codes)) = self.known.column(from, of).map(|column| &column.levels) else {
            return false;
        };
        let leads = KeyDomain::Key {
            dataset: dataset.clone(),
            column: key.clone(),
        };
        if self.known.rules().domain(from, of) == Some(leads) {
            return true;
        }
        let in_hierarchy = codes
            .hierarchy()
            .is_some_and(|known| known.dataset == *dataset && (known.descendant == *key || known.ancestor == *key));
        in_hierarchy
            || codes
                .names()
                .is_some_and(|known| known.dataset == *dataset && known.code == *key)
    }

    fn dataset_of(&self, instance: usize) -> Result<DatasetName> {
        match self.instances.get(instance) {
            Some(Instance::Rows(dataset)) => Ok(dataset.clone()),
            Some(Instance::PerSubject { .. }) | None => Err(refused(Form::Subquery)),
        }
    }
}
