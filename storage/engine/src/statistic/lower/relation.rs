//! What a grouping reads: datasets, values of subjects, and conditions on them.
//!
//! Each dataset that a query names is an instance with a number, and so is each derived table with one row for each subject. Expressions
//! are written with the columns of instances (`#3.condition_start_date`): whatever a name meant in the text, its meaning is decided here,
//! once. `#` is not used by names of tables in a plan for anything else, since every name of the text is replaced.

use std::sync::Arc;

use concordat_protocol::{
    collection::DatasetKind,
    ids::{ColumnName, DatasetName},
};
use datafusion::{
    common::{
        Column, DFSchema, JoinType, NullEquality,
        tree_node::{Transformed, TreeNode as _, TreeNodeRecursion},
    },
    error::DataFusionError,
    logical_expr::{Distinct, Expr, Join, LogicalPlan, Operator, Subquery, binary_expr},
};

use super::{
    columns::{column_of, conjuncts, instance_of, unaliased},
    per_subject::SUBJECT,
    state::{Bound, Instance, Lowering, MAX_INSTANCES, MAX_NODES, Relation, Result, refused, rewritten},
};
use crate::statistic::{
    block::at_most,
    forms::{Form, NotCountable},
};

impl Lowering<'_> {
    /// What a plan below a grouping reads.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a plan that is not listed is refused")]
    pub(super) fn relation(&mut self, plan: &LogicalPlan) -> Result<Relation> {
        self.deeper(|lowering| match plan {
            LogicalPlan::TableScan(scan) => {
                let is_plain = scan.projection.is_none() && scan.filters.is_empty() && scan.fetch.is_none();
                let names = scan.projected_schema.fields().iter().map(|field| field.name().clone());
                lowering.dataset(scan.table_name.table(), names, is_plain)
            }
            // Columns of instances begin with this character.
            LogicalPlan::SubqueryAlias(alias) if alias.alias.table().starts_with('#') => Err(refused(Form::Operator)),
            LogicalPlan::SubqueryAlias(alias) => lowering.relation(&alias.input),
            LogicalPlan::Projection(projection) => {
                let mut relation = lowering.relation(&projection.input)?;
                let bound = projection.expr.iter();
                let bound = bound.map(|shown| lowering.bound(shown, projection.input.schema(), &relation.columns));
                relation.columns = bound.collect::<Result<_>>()?;
                Ok(relation)
            }
            LogicalPlan::Filter(filter) => {
                let mut relation = lowering.relation(&filter.input)?;
                let bound = lowering.bound(&filter.predicate, filter.input.schema(), &relation.columns)?;
                lowering.require(&mut relation, conjuncts(bound.expr))?;
                Ok(relation)
            }
            LogicalPlan::Join(join) => lowering.join(join),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let mut relation = lowering.relation(input)?;
                if relation.columns.len() == 1 && relation.columns.iter().all(|bound| lowering.is_subject(&bound.expr))
                {
                    return lowering.per_subject(&relation, &[]);
                }
                relation.is_distinct = true;
                Ok(relation)
            }
            LogicalPlan::Aggregate(aggregate) => lowering.values_of_subjects(aggregate),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => lowering.relation(&sort.input),
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => Err(refused(Form::LimitBelow)),
            LogicalPlan::Window(window) => lowering.numbered(window),
            LogicalPlan::Union(_) => Err(refused(Form::SetOperation)),
            _ => Err(refused(Form::Operator)),
        })
    }

    fn dataset(&mut self, name: &str, columns: impl Iterator<Item = String>, is_plain: bool) -> Result<Relation> {
        let unknown = || NotCountable::Unknown {
            name: name.chars().take(64).collect(),
        };
        let dataset = DatasetName::new(name).map_err(|_| unknown())?;
        match self.known.kind(&dataset) {
            Some(DatasetKind::Unowned) => return Err(refused(Form::NoSubjects)),
            Some(_) if !is_plain => return Err(refused(Form::Operator)),
            Some(_) => {}
            None => return Err(unknown()),
        }
        let id = self.instance(Instance::Rows(dataset))?;
        Ok(Relation {
            columns: columns.map(|name| column_of(id, name)).collect(),
            instances: vec![id],
            ..Relation::default()
        })
    }

    pub(super) fn instance(&mut self, instance: Instance) -> Result<usize> {
        at_most(self.instances.len().saturating_add(1), MAX_INSTANCES, "datasets")?;
        self.instances.push(instance);
        Ok(self.instances.len().saturating_sub(1))
    }

    fn join(&mut self, join: &Join) -> Result<Relation> {
        if matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
            return self.subject_sets(join);
        }
        if join.null_equality != NullEquality::NullEqualsNothing {
            return Err(refused(Form::SetOperation));
        }
        let left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let mut on = Vec::new();
        for (a, b) in &join.on {
            let a = self.bound(a, join.left.schema(), &left.columns)?;
            let b = self.bound(b, join.right.schema(), &right.columns)?;
            on.push(binary_expr(a.expr, Operator::Eq, b.expr));
        }
        let inner: Vec<usize> = right.instances.clone();
        let has_conditions = !right.conjuncts.is_empty() || !right.optional.is_empty();
        let mut both = left.with(right);
        if let Some(filter) = &join.filter {
            on.extend(conjuncts(self.bound(filter, &join.schema, &both.columns)?.expr));
        }
        match join.join_type {
            JoinType::Inner => {}
            JoinType::Left => self.left_join(&mut both, &inner, &mut on, has_conditions)?,
            JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::Right
            | JoinType::Full
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::LeftMark
            | JoinType::RightMark => return Err(refused(Form::OuterJoin)),
        }
        both.conjuncts.extend(on);
        Ok(both)
    }

    /// The right side of a `LEFT JOIN` has at most one row for each row, or its rows become one for each subject.
    fn left_join(
        &mut self,
        both: &mut Relation,
        inner: &[usize],
        on: &mut Vec<Expr>,
        has_conditions: bool,
    ) -> Result<()> {
        let [right] = inner else {
            return Err(refused(Form::LeftJoin));
        };
        if has_conditions {
            return Err(refused(Form::LeftJoin));
        }
        both.optional.insert(*right);
        let (edges, conditions): (Vec<Expr>, Vec<Expr>) = on
            .drain(..)
            .partition(|part| self.edge(part).is_some_and(|(a, b)| a.0 == *right || b.0 == *right));
        let [edge] = edges.as_slice() else {
            return Err(refused(Form::LeftJoin));
        };
        on.push(edge.clone());
        if conditions.is_empty() && !self.meets_several(edge, *right) {
            return Ok(());
        }
        self.events_on_the_right(*right, conditions)?;
        // Rows of one subject meet several events, so that only subjects can be counted.
        both.repeating.insert(*right);
        Ok(())
    }

    /// An expression with the columns of instances.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other expressions contain no column")]
    pub(super) fn bound(&mut self, expression: &Expr, schema: &DFSchema, columns: &[Bound]) -> Result<Bound> {
        let size = size(expression, schema, columns);
        self.nodes = self.nodes.saturating_add(size);
        at_most(self.nodes, MAX_NODES, "parts of expressions")?;
        let resolve = |column: &Column| {
            let at = schema.maybe_index_of_column(column)?;
            columns.get(at).map(|bound| bound.expr.clone())
        };
        let expr = rewritten(expression.clone(), &mut |inner| match inner {
            Expr::Column(column) => resolve(&column).ok_or_else(|| refused(Form::Expression)),
            // The enclosing query has already replaced it by a column of an instance.
            Expr::OuterReferenceColumn(_, column) if instance_of(&column).is_some() => Ok(Expr::Column(column)),
            Expr::OuterReferenceColumn(..) => Err(refused(Form::Subquery)),
            Expr::Exists(mut exists) => {
                exists.subquery = with_outer(exists.subquery, &resolve)?;
                Ok(Expr::Exists(exists))
            }
            Expr::InSubquery(mut list) => {
                list.subquery = with_outer(list.subquery, &resolve)?;
                Ok(Expr::InSubquery(list))
            }
            Expr::ScalarSubquery(_) | Expr::SetComparison(_) => Err(refused(Form::Subquery)),
            other => Ok(other),
        })?;
        Ok(Bound { expr, size })
    }

    /// Whether an expression is the key of the subject.
    pub(super) fn is_subject(&self, expression: &Expr) -> bool {
        let Expr::Column(column) = unaliased(expression) else {
            return false;
        };
        match instance_of(column).and_then(|id| self.instances.get(id)) {
            Some(Instance::Rows(dataset)) => {
                ColumnName::new(&column.name).is_ok_and(|name| self.known.is_subject(dataset, &name))
            }
            Some(Instance::PerSubject { of, .. }) => {
                let is_key = |name: ColumnName| self.known.is_subject(&of.dataset, &name);
                column.name == SUBJECT || ColumnName::new(&column.name).is_ok_and(is_key)
            }
            None => false,
        }
    }
}

/// A subquery in which the columns of the query around it are those of instances. Subqueries within it are left: their outer columns may
/// be its own.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions contain no column")]
fn with_outer(mut subquery: Subquery, resolve: &dyn Fn(&Column) -> Option<Expr>) -> Result<Subquery> {
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let changed = plan.transform_down(|node| {
        node.map_expressions(|expression| {
            expression.transform_up(|inner| match inner {
                // A column of a derived table may have another name there.
                Expr::OuterReferenceColumn(field, column) => match resolve(&column).as_ref().map(unaliased) {
                    Some(Expr::Column(known)) => {
                        let known = known.clone();
                        Ok(Transformed::yes(Expr::OuterReferenceColumn(field, known)))
                    }
                    Some(_) => Err(DataFusionError::Plan(String::new())),
                    None => Ok(Transformed::no(Expr::OuterReferenceColumn(field, column))),
                },
                other => Ok(Transformed::no(other)),
            })
        })
    });
    subquery.subquery = Arc::new(changed.map_err(|_| refused(Form::Subquery))?.data);
    Ok(subquery)
}

/// How many parts an expression has after its columns are replaced.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions contain no column")]
fn size(expression: &Expr, schema: &DFSchema, columns: &[Bound]) -> usize {
    let mut size = 0_usize;
    let _ = expression.apply(|inner| {
        let own = match inner {
            Expr::Column(column) => {
                let at = schema.maybe_index_of_column(column);
                at.and_then(|at| columns.get(at)).map_or(1, |bound| bound.size)
            }
            _ => 1,
        };
        size = size.saturating_add(own);
        Ok(TreeNodeRecursion::Continue)
    });
    size
}
