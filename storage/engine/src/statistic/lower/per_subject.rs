//! Derived tables with one row for each subject: `SELECT DISTINCT`, `GROUP BY` the subject, and sets of subjects.

use std::collections::BTreeSet;

use concordat_protocol::{collection::DatasetKind, ids::ColumnName, scope::Value};
use datafusion::{
    common::{Column, JoinType},
    logical_expr::{Aggregate, Case, Expr, Join, Operator, binary_expr},
};

use super::{
    attach::Attached,
    columns::{column_of, instance_of, instances_of, unaliased},
    literals::label,
    state::{Bound, Instance, Lowering, Relation, Result, refused},
};
use crate::statistic::{
    admitted::{COUNT, FIRST, LAST},
    forms::Form,
    terms::{EventSet, SubjectValue},
};

/// The column of a derived table with the key of the subject. No column of a dataset has a parenthesis in its name.
pub(super) const SUBJECT: &str = "(subject)";
/// The parts of the `CASE` that states whether a subject has a row.
const EVER_PARTS: usize = 5;

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

    /// Whether an equality joins the key of the subject with a dataset in which a subject can have several rows.
    pub(super) fn meets_several(&self, edge: &Expr, right: usize) -> bool {
        let by_subject = self
            .edge(edge)
            .is_some_and(|(a, b)| self.is_subject_end(&a) && self.is_subject_end(&b));
        let kind = self.rows(right).and_then(|dataset| self.known.kind(dataset));
        by_subject && matches!(kind, Some(DatasetKind::Keyed { unique: false, .. }))
    }

    /// Whether a row of a relation can occur several times: not if only rows without an event are left.
    pub(super) fn repeats_rows(&self, relation: &Relation) -> bool {
        let is_left_out = |id: &usize| relation.conjuncts.iter().any(|part| self.leaves_out_events(part, *id));
        !relation.repeating.iter().all(is_left_out)
    }

    /// Whether a condition is that there is no event.
    fn leaves_out_events(&self, condition: &Expr, id: usize) -> bool {
        let Expr::IsNull(inner) = unaliased(condition) else {
            return false;
        };
        let Expr::Column(column) = unaliased(inner) else {
            return false;
        };
        instance_of(column) == Some(id) && self.has_events_where_present(column)
    }

    /// Whether a column of a derived table, or of the right side of a `LEFT JOIN`, is missing exactly where there is no event: the key of
    /// the subject, or that of the row, which by its declaration has another value in each row.
    pub(super) fn has_events_where_present(&self, column: &Column) -> bool {
        if self.is_subject(&Expr::Column(column.clone())) {
            return true;
        }
        let Some(Instance::PerSubject { of, .. }) = instance_of(column).and_then(|id| self.instances.get(id)) else {
            return false;
        };
        ColumnName::new(&column.name).is_ok_and(|name| self.known.is_row_key(&of.dataset, &name))
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
        if !self.is_subject(&group.expr) || relation.is_distinct || self.repeats_rows(&relation) {
            return Err(refused(Form::PerSubject));
        }
        let mut values = Vec::new();
        let mut flags = Vec::new();
        for (at, item) in aggregate.aggr_expr.iter().enumerate() {
            let item = self.bound(item, schema, &relation.columns)?;
            match ever(&item.expr)? {
                Some(case) => flags.push((at, case)),
                None => values.push(item.expr),
            }
        }
        let mut table = self.per_subject(&relation, &values)?;
        for (at, case) in flags {
            self.add_ever(&mut table, &relation, at, case)?;
        }
        Ok(table)
    }

    /// Adds a column, after the key and those before it: whether one of the rows of the subject meets the condition of a `CASE`.
    fn add_ever(&mut self, table: &mut Relation, relation: &Relation, at: usize, case: Ever) -> Result<()> {
        let Ever { when, then, rest } = case;
        let mut narrowed = relation.clone();
        narrowed.conjuncts.push(when);
        let with = self.per_subject(&narrowed, &[])?;
        let keys = table.columns.first().zip(with.columns.first());
        let (key, of_events) = keys.ok_or_else(|| refused(Form::PerSubject))?;
        let key = key.expr.clone();
        let of_events = of_events.expr.clone();
        // The subjects with such a row are joined as a `LEFT JOIN` joins them, so that each has a row.
        table.conjuncts.push(binary_expr(key, Operator::Eq, of_events.clone()));
        table.optional.extend(&with.instances);
        table.instances.extend(&with.instances);
        let is_one = Box::new(Expr::IsNotNull(Box::new(of_events)));
        let expr = Expr::Case(Case::new(None, vec![(is_one, then)], rest));
        let column = Bound { expr, size: EVER_PARTS };
        table
            .columns
            .insert(table.columns.len().min(at.saturating_add(1)), column);
        Ok(())
    }

    /// One row for each subject of a relation, with the key of the subject and these aggregates.
    pub(super) fn per_subject(&mut self, relation: &Relation, aggregates: &[Expr]) -> Result<Relation> {
        let (attached, root) = self.rooted(relation, aggregates)?;
        let is_counted = aggregates.iter().any(|item| self.extreme(item, root).is_none());
        if is_counted && attached.has_events() {
            return Err(refused(Form::SeveralEvents));
        }
        if is_counted && self.is_listed_often(&attached, None)? {
            return Err(refused(Form::ListedRows));
        }
        let values = aggregates.iter().map(|item| self.subject_value(item, root));
        let values = values.collect::<Result<Vec<_>>>()?;
        let (id, columns) = self.table_of_subjects(relation, &attached, root, values)?;
        Ok(Relation {
            columns,
            instances: vec![id],
            ..Relation::default()
        })
    }

    /// The positions of the datasets of a relation, and the one whose rows are the events of the subjects.
    pub(super) fn rooted<'e>(
        &self,
        relation: &Relation,
        used: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<(Attached, usize)> {
        let attached = self.attach(relation, None, &instances_of(used))?;
        let root = attached.root().ok_or_else(|| refused(Form::PerSubject))?;
        Ok((attached, root))
    }

    /// A table with one row for each subject with an event, and its columns: the key of the subject, and these values.
    pub(super) fn table_of_subjects(
        &mut self,
        relation: &Relation,
        attached: &Attached,
        root: usize,
        values: Vec<SubjectValue>,
    ) -> Result<(usize, Vec<Bound>)> {
        let dataset = self.rows(root).cloned().ok_or_else(|| refused(Form::PerSubject))?;
        let rows = self.rows_of(relation, attached, None)?;
        let names = (0..values.len()).map(|at| format!("({at})"));
        let names: Vec<String> = std::iter::once(SUBJECT.to_owned()).chain(names).collect();
        let of = EventSet { dataset, rows };
        let id = self.instance(Instance::PerSubject { of, values })?;
        Ok((id, names.into_iter().map(|name| column_of(id, name)).collect()))
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
                if function.func.name() == COUNT
                    && !function.params.distinct
                    && function.params.filter.is_none()
                    && matches!(function.params.args.as_slice(), [Expr::Literal(value, _)] if !value.is_null()) =>
            {
                Ok(SubjectValue::Count)
            }
            _ => Err(refused(Form::PerSubject)),
        }
    }

    /// The column of the rows that a date is in.
    pub(super) fn date_of(&self, expression: &Expr, root: usize) -> Option<ColumnName> {
        let Expr::Column(column) = unaliased(expression) else {
            return None;
        };
        let name = ColumnName::new(&column.name).ok()?;
        let is_date = instance_of(column) == Some(root) && self.is_date(self.rows(root)?, &name);
        is_date.then_some(name)
    }

    /// `min` or `max` of a date of the rows.
    fn extreme(&self, item: &Expr, root: usize) -> Option<(bool, ColumnName)> {
        let Expr::AggregateFunction(function) = unaliased(item) else {
            return None;
        };
        let is_first = match function.func.name() {
            FIRST => true,
            LAST => false,
            _ => return None,
        };
        if function.params.filter.is_some() {
            return None;
        }
        let [operand] = function.params.args.as_slice() else {
            return None;
        };
        Some((is_first, self.date_of(operand, root)?))
    }
}

/// `CASE WHEN condition THEN 1 ELSE 0 END`, or the same without `ELSE`.
struct Ever {
    when: Expr,
    then: Box<Expr>,
    rest: Option<Box<Expr>>,
}

/// The operand of `max` that is one for the rows that meet a condition: its greatest value states whether there is such a row.
fn ever(item: &Expr) -> Result<Option<Ever>> {
    let Expr::AggregateFunction(function) = unaliased(item) else {
        return Ok(None);
    };
    let [operand] = function.params.args.as_slice() else {
        return Ok(None);
    };
    let Expr::Case(case) = unaliased(operand) else {
        return Ok(None);
    };
    let (None, [(when, then)], None) = (&case.expr, case.when_then_expr.as_slice(), &function.params.filter) else {
        return Ok(None);
    };
    let rest = case.else_expr.as_deref().map_or(Ok(Some(None)), label)?;
    let is_flag = label(then)? == Some(Some(Value::Int(1))) && matches!(rest, Some(None | Some(Value::Int(0))));
    Ok((is_flag && function.func.name() == "max").then(|| Ever {
        when: when.as_ref().clone(),
        then: then.clone(),
        rest: case.else_expr.clone(),
    }))
}
