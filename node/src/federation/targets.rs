//! Finds out which datasets a query is sent to: those of other institutions under grants, and our own.

use concordat_protocol::ids::{DatasetName, DatasetRef};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::Refusal;

use super::error::FederationError;
use super::handle::Federation;
use super::plan::Targets;
use super::report::QueryReport;
use super::resolve::{ResolveContext, target_of};
use super::source::{Access, Target};
use super::statement::{ParsedQuery, TableName};
use crate::sharing::Requester;

impl Federation {
    /// The targets of each table of the query.
    ///
    /// # Errors
    /// [`FederationError`] if a table has none.
    pub(super) async fn targets(
        &self,
        parsed: &ParsedQuery,
        requester: &Requester,
        purpose: Option<&Purpose>,
        report: &QueryReport,
    ) -> Result<Targets, FederationError> {
        let parts = &self.0.parts;
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
                    let dataset = table.dataset.clone();
                    vec![context.remote(&DatasetRef {
                        institution: institution.clone(),
                        dataset,
                    })?]
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
                report.note(format!(
                    "our own `{}` is not part of the answer: {}",
                    table.dataset,
                    reasons.join("; ")
                ));
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
        Ok(scope.map(|scope| target_of(&scope, Access::Own, purpose)))
    }
}
