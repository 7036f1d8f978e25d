//! How each column is shown at most, and which row conditions that admits.

use concordat_protocol::decision::RuleReason;
use concordat_protocol::policy_set::Reveal;
use concordat_protocol::scope::{
    Columns, Constraint, DatasetScope, Datasets, InvalidScope, Purpose, Rows, Tier, Transform, Window,
};

use super::super::one_age::{self, Shown};
use super::{OfferEvaluation, Reasons};
use crate::facts::{ColumnPath, DatasetFacts};
use crate::request::{AuthorizationRequest, RequestedColumn};
use crate::rows;

impl OfferEvaluation<'_> {
    /// How each column is shown, with a reason if it is not shown in clear.
    pub(super) fn columns(&mut self, purposes: &[Purpose], tier: Tier) -> Shown {
        let collection = self.facts;
        let columns = collection.columns().map(|(dataset, column)| {
            let requested = RequestedColumn {
                column,
                dataset,
                collection,
            };
            let path = ColumnPath::new(&dataset.name, &column.name);
            (path, self.column(requested, purposes, tier))
        });
        columns.collect()
    }

    /// The widest transform that, combined with the requested one, does not remove the column; if there is none, the widest.
    fn column(
        &mut self,
        about: RequestedColumn<'_>,
        purposes: &[Purpose],
        tier: Tier,
    ) -> (Transform, Option<RuleReason>) {
        let column = about.column;
        let requested = self.input.request.datasets.get(&about.dataset.name);
        let requested = requested.map_or(Transform::Removed, |scope| scope.columns.transform(&column.name));
        let mut candidates = vec![(Transform::Clear, Reveal::Clear)];
        candidates.extend(
            column
                .generalization
                .map(|generalization| (Transform::Generalized(generalization), Reveal::Generalized)),
        );
        candidates.push((Transform::Pseudonym, Reveal::Pseudonym));
        let mut widest = None;
        let mut reason = None;
        for (transform, reveal) in candidates {
            match self.reveal(about, reveal, purposes, tier) {
                Ok(()) if requested.meet(transform) != Transform::Removed => return (transform, reason),
                Ok(()) => widest = widest.or(Some(transform)),
                Err(denied) => reason = reason.or(denied),
            }
        }
        (widest.unwrap_or(Transform::Removed), reason)
    }

    fn reveal(
        &mut self,
        requested: RequestedColumn<'_>,
        reveal: Reveal,
        purposes: &[Purpose],
        tier: Tier,
    ) -> Result<(), Option<RuleReason>> {
        for purpose in purposes {
            let request = AuthorizationRequest::for_column(self.parties(), reveal, requested, tier, purpose);
            let answer = self.authorize(&request);
            answer.map_err(|reasons| reasons.into_iter().next())?;
        }
        Ok(())
    }

    /// The datasets as they are shown at most, with all rows.
    pub(super) fn datasets(&self, shown: &Shown) -> Result<Datasets, InvalidScope> {
        let scope_of = |dataset: &DatasetFacts| {
            let columns = dataset.columns.iter().filter_map(|column| {
                let path = ColumnPath::new(&dataset.name, &column.name);
                let (transform, _) = shown.get(&path)?;
                Some((path.column, *transform))
            });
            let scope = DatasetScope {
                columns: Columns::new(columns)?,
                rows: Rows::all(),
            };
            Ok((dataset.name.clone(), scope))
        };
        let datasets: Result<Vec<_>, InvalidScope> = self.facts.datasets.iter().map(scope_of).collect();
        Datasets::new(datasets?)
    }

    /// Checks the conditions of the request on columns as they are shown.
    pub(super) fn check_rows(&self, shown: &Shown, window: Window) -> Result<(), Reasons> {
        let window = self.input.request.window.meet(&window);
        let oldest_year = window.map_or(i32::MAX, |window| window.oldest_year());
        let constraints = self.input.request.datasets.iter().flat_map(|(dataset, scope)| {
            let constraints = scope.rows.constraints();
            constraints.map(move |(column, constraint)| (ColumnPath::new(dataset, column), constraint))
        });
        let checks = constraints.map(|(path, constraint)| self.check_row(&path, constraint, shown, oldest_year));
        let refused: Reasons = checks.filter_map(Result::err).collect();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    fn check_row(
        &self,
        path: &ColumnPath,
        constraint: &Constraint,
        shown: &Shown,
        oldest_year: i32,
    ) -> Result<(), RuleReason> {
        let label = path.label(&self.facts.reference);
        match (self.facts.column(&path.dataset, &path.column), shown.get(path)) {
            (Some(_), Some((Transform::Removed, Some(reason)))) if one_age::is_reason(reason) => Err(reason.clone()),
            (Some(column), Some((transform, _))) => rows::check((&label, column), *transform, constraint, oldest_year),
            (Some(_), None) | (None, _) => Err(rows::unavailable(&label)),
        }
    }
}
