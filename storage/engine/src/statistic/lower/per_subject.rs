//! Derived tables with one row for each subject: `SELECT DISTINCT`, `GROUP BY` the subject, and sets of subjects.

use std::collections::BTreeSet;

use concordat_protocol::ids::ColumnName;
use datafusion::{
    common::JoinType,
    logical_expr::{Aggregate, Expr, Join, Operator, binary_expr},
};

use super::{
    columns::{column_of, instance_of, instances_of, unaliased},
    state::{Instance, Lowering, Relation, Result, refused},
};
use crate::statistic::{
    forms::Form,
    terms::{EventSet, SubjectValue},
};

/// The column of a derived table with the key of the subject. No column of a dataset has a parenthesis in its name.
pub(super) const SUBJECT: &str = "(subject)";

impl Lowering<'_> {
    /// `INTERSECT` and `EXCEPT` of subjects: those on the left that have an event on the right, or have none. Each row has a subject, so that
    /// it does not matter whether missing ones are equal.
    pub(super) fn subject_sets(&mut self, join: &Join) -> Result<Relation> {
        let mut left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let ([a], [b], [_], None) = (
            left.columns.as_slice(),
            right.columns.as_slice(),
            join.on.as_slice(),
            &join.filter,
        ) else {
            return Err(refused(Form::SetOperation));
        };
        if !self.is_subject(&a.expr) || !self.is_subject(&b.expr) {
            return Err(refused(Form::SetOperation));
        }
        let is_single = matches!(right.instances.as_slice(), [id] if matches!(self.instances.get(*id), Some(Instance::PerSubject { .. })));
        let right = if is_single {
            right
        } else {
            self.per_subject(&right, &[])?
        };
        let [b] = right.columns.as_slice() else {
            return Err(refused(Form::SetOperation));
        };
        let columns = std::mem::take(&mut left.columns);
        let keys: Vec<Expr> = columns.iter().map(|column| column.expr.clone()).collect();
        let b = b.expr.clone();
        let mut both = left.with(right);
        both.columns = columns;
        both.conjuncts
            .extend(keys.into_iter().map(|key| binary_expr(key, Operator::Eq, b.clone())));
        if join.join_type == JoinType::LeftAnti {
            both.optional.extend(instances_of([&b]));
            both.conjuncts.push(Expr::IsNull(Box::new(b)));
        }
        Ok(both)
    }

    /// Makes an instance the subjects with an event that meets conditions on it alone.
    pub(super) fn events_on_the_right(&mut self, right: usize, conditions: Vec<Expr>) -> Result<()> {
        let own = conditions
            .iter()
            .all(|part| instances_of([part]).iter().all(|id| *id == right));
        let Some(Instance::Rows(dataset)) = self.instances.get(right) else {
            return Err(refused(Form::LeftJoin));
        };
        if !own {
            return Err(refused(Form::LeftJoin));
        }
        let dataset = dataset.clone();
        let alone = Relation {
            conjuncts: conditions,
            instances: vec![right],
            ..Relation::default()
        };
        let attached = self.attach(&alone, None, &BTreeSet::new())?;
        let rows = self.rows_of(&alone, &attached, None)?;
        let of = EventSet { dataset, rows };
        let values = Vec::new();
        if let Some(instance) = self.instances.get_mut(right) {
            *instance = Instance::PerSubject { of, values };
        }
        Ok(())
    }

    /// A derived table that is grouped by the subject.
    pub(super) fn values_of_subjects(&mut self, aggregate: &Aggregate) -> Result<Relation> {
        let relation = self.relation(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let [group] = aggregate.group_expr.as_slice() else {
            return Err(refused(Form::PerSubject));
        };
        let group = self.bound(group, schema, &relation.columns)?;
        if !self.is_subject(&group.expr) || relation.is_distinct || relation.repeats_rows {
            return Err(refused(Form::PerSubject));
        }
        let mut values = Vec::new();
        for item in &aggregate.aggr_expr {
            let item = self.bound(item, schema, &relation.columns)?;
            values.push(item.expr);
        }
        self.per_subject(&relation, &values)
    }

    /// One row for each subject of a relation, with the key of the subject and these aggregates.
    pub(super) fn per_subject(&mut self, relation: &Relation, aggregates: &[Expr]) -> Result<Relation> {
        let attached = self.attach(relation, None, &instances_of(aggregates))?;
        let Some(root) = attached.root() else {
            return Err(refused(Form::PerSubject));
        };
        let Some(Instance::Rows(dataset)) = self.instances.get(root) else {
            return Err(refused(Form::PerSubject));
        };
        let dataset = dataset.clone();
        let is_counted = aggregates.iter().any(|item| self.extreme(item, root).is_none());
        if attached.has_events() && is_counted {
            return Err(refused(Form::SeveralEvents));
        }
        let values = aggregates.iter().map(|item| self.subject_value(item, root));
        let values = values.collect::<Result<Vec<_>>>()?;
        let rows = self.rows_of(relation, &attached, None)?;
        let of = EventSet { dataset, rows };
        let names = (0..values.len()).map(|at| format!("({at})"));
        let names: Vec<String> = std::iter::once(SUBJECT.to_owned()).chain(names).collect();
        let id = self.instance(Instance::PerSubject { of, values })?;
        Ok(Relation {
            columns: names.into_iter().map(|name| column_of(id, name)).collect(),
            instances: vec![id],
            ..Relation::default()
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an aggregate that is not listed is refused"
    )]
    fn subject_value(&self, item: &Expr, root: usize) -> Result<SubjectValue> {
        if let Some((is_first, column)) = self.extreme(item, root) {
            return Ok(if is_first {
                SubjectValue::First(column)
            } else {
                SubjectValue::Last(column)
            });
        }
        match unaliased(item) {
            Expr::AggregateFunction(function)
                if function.func.name() == "count"
                    && !function.params.distinct
                    && function.params.filter.is_none()
                    && matches!(function.params.args.as_slice(), [Expr::Literal(value, _)] if !value.is_null()) =>
            {
                Ok(SubjectValue::Count)
            }
            _ => Err(refused(Form::PerSubject)),
        }
    }

    /// `min` or `max` of a date of the rows.
    fn extreme(&self, item: &Expr, root: usize) -> Option<(bool, ColumnName)> {
        let Expr::AggregateFunction(function) = unaliased(item) else {
            return None;
        };
        let is_first = match function.func.name() {
            "min" => true,
            "max" => false,
            _ => return None,
        };
        if function.params.filter.is_some() {
            return None;
        }
        let [Expr::Column(column)] = function.params.args.as_slice() else {
            return None;
        };
        let Some(Instance::Rows(dataset)) = self.instances.get(root) else {
            return None;
        };
        let name = ColumnName::new(&column.name).ok()?;
        let is_date = instance_of(column) == Some(root) && self.is_date(dataset, &name);
        is_date.then_some((is_first, name))
    }
}
