//! Finds out which datasets a query is sent to: those of other institutions under grants, and our own.

use std::collections::BTreeMap;

use concordat_protocol::ids::{DatasetName, DatasetRef};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::Refusal;

use futures::future::join_all;

use super::Question;
use super::absent::Absent;
use super::error::FederationError;
use super::handle::Federation;
use super::report::{QueryReport, Remark};
use super::resolve::{ResolveContext, target_of};
use super::source::{Access, Target};
use super::statement::{ParsedQuery, TableName};
use super::tables::Tables;
use super::union_table::UnionTable;
use crate::sharing::Requester;

/// The datasets behind each table of a query.
pub(super) type Targets = BTreeMap<TableName, Vec<Target>>;

impl Federation {
    /// Each table of the query with the columns that its datasets show. A member of several that cannot be asked for them, or that is
    /// `absent`, is left out, with a remark if the query needs it.
    ///
    /// # Errors
    /// [`FederationError`] if a table has no member left.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn tables(
        &self,
        targets: Targets,
        absent: &mut Absent,
        report: &QueryReport,
    ) -> Result<Tables, FederationError> {
        let mut tables = Tables::default();
        for (name, targets) in targets {
            let table = match name.institution {
                Some(_) => self.table_of_one(targets, report).await?,
                None => self.table_of_members(&name, targets, absent, report).await?,
            };
            if let Some(table) = table {
                tables.insert(name, table);
            }
        }
        Ok(tables)
    }

    async fn table_of_one(
        &self,
        mut targets: Vec<Target>,
        report: &QueryReport,
    ) -> Result<Option<UnionTable>, FederationError> {
        let Some(target) = targets.pop() else {
            return Ok(None);
        };
        let columns = self.columns_of(&target, report).await?;
        Ok(Some(UnionTable::single(target, columns.schema)))
    }

    async fn table_of_members(
        &self,
        name: &TableName,
        targets: Vec<Target>,
        absent: &mut Absent,
        report: &QueryReport,
    ) -> Result<Option<UnionTable>, FederationError> {
        let (left_out, present): (Vec<Target>, Vec<Target>) = targets
            .into_iter()
            .partition(|target| absent.reason(&target.dataset.institution).is_some());
        for target in &left_out {
            if let Some(error) = absent.reason(&target.dataset.institution) {
                leave_out(report, &target.dataset, error);
            }
        }
        if present.is_empty()
            && let Some(error) = left_out
                .first()
                .and_then(|target| absent.take(&target.dataset.institution))
        {
            return Err(error);
        }
        let mut last = None;
        let columns = join_all(present.iter().map(|target| self.columns_of(target, report))).await;
        let mut members = Vec::new();
        for (target, columns) in present.into_iter().zip(columns) {
            match columns {
                Ok(columns) => members.push((target, columns)),
                Err(error) if error.absent_member().is_some() => {
                    leave_out(report, &target.dataset, &error);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match last {
            Some(error) if members.is_empty() => Err(error),
            Some(_) | None => Ok(Some(UnionTable::of_members(&name.dataset, members))),
        }
    }

    /// The targets of each table of the query.
    ///
    /// # Errors
    /// [`FederationError`] if a table has none.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn targets(
        &self,
        parsed: &ParsedQuery,
        requester: &Requester,
        question: &Question,
        report: &QueryReport,
    ) -> Result<Targets, FederationError> {
        let parts = &self.0.parts;
        let purpose = question.purpose.as_ref();
        let grants = parts.grants.list().await;
        let context = ResolveContext {
            grants: &grants,
            institution: &parts.identity.institution,
            purpose,
            now: parts.clock.now(),
        };
        let mut targets = Targets::new();
        for table in &parsed.tables {
            let found = match &table.institution {
                Some(institution) if institution == context.institution => self
                    .own(requester, purpose, &table.dataset)
                    .await?
                    .into_iter()
                    .collect(),
                Some(institution) => {
                    let dataset = DatasetRef::alone(institution.clone(), table.dataset.clone());
                    vec![context.remote(&dataset)?]
                }
                None => self.all_members(&context, table, requester, report).await?,
            };
            if found.is_empty() {
                return Err(context.no_provider(table));
            }
            let version = table.version;
            let found = found.into_iter().map(|target| Target { version, ..target });
            targets.insert(table.clone(), found.collect());
        }
        Ok(targets)
    }

    /// All members that share `consortium.dataset`, including ourselves if we have a dataset of that name.
    async fn all_members(
        &self,
        context: &ResolveContext<'_>,
        table: &TableName,
        requester: &Requester,
        report: &QueryReport,
    ) -> Result<Vec<Target>, FederationError> {
        let mut targets = context.all_members(&table.dataset, report)?;
        let purpose = context
            .purpose
            .cloned()
            .or_else(|| targets.first().map(|target| target.purpose.clone()));
        match self.own(requester, purpose.as_ref(), &table.dataset).await {
            Ok(own) => targets.extend(own),
            Err(FederationError::Refused { refusal, .. }) => {
                let reasons: Vec<_> = refusal.reasons.into_iter().map(|reason| reason.text).collect();
                let own = DatasetRef::alone(context.institution.clone(), table.dataset.clone());
                report.leave_out(&own, Remark::missing_member(&own, &reasons.join("; ")));
            }
            Err(other) => return Err(other),
        }
        targets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        Ok(targets)
    }

    /// The error for a refusal by this node itself.
    pub(super) fn refused_locally(&self, refusal: Refusal) -> FederationError {
        FederationError::Refused {
            provider: self.0.parts.identity.institution.clone(),
            refusal,
        }
    }

    /// Our own dataset, if there is one of that name.
    async fn own(
        &self,
        requester: &Requester,
        purpose: Option<&Purpose>,
        dataset: &DatasetName,
    ) -> Result<Option<Target>, FederationError> {
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let scope = self.0.parts.sharing.local_scope(requester, &purpose, dataset).await;
        let scope = scope.map_err(|refusal| self.refused_locally(refusal))?;
        Ok(scope.and_then(|scope| target_of(&scope, dataset, Access::Own, purpose)))
    }
}

/// Leaves a member out that cannot take part because of this error.
fn leave_out(report: &QueryReport, dataset: &DatasetRef, error: &FederationError) {
    report.leave_out(dataset, Remark::missing_member(dataset, &one_line(error)));
}

/// An error with its reasons.
fn one_line(error: &FederationError) -> String {
    let reasons = error.reasons();
    match reasons.is_empty() {
        true => error.to_string(),
        false => format!("{error}: {}", reasons.join("; ")),
    }
}
