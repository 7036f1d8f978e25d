//! Finds out which datasets a query is sent to: those of other institutions under grants, and our own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_protocol::ids::{CollectionName, DatasetName, DatasetRef, InstitutionId};
use concordat_protocol::scope::{Purpose, Scope, Tier};
use concordat_protocol::wire::messages::Refusal;

use futures::future::join_all;

use super::Question;
use super::absent::Absent;
use super::error::FederationError;
use super::grant_columns::{SharedDeclared, Shown};
use super::handle::Federation;
use super::remark::Remark;
use super::report::QueryReport;
use super::resolve::{ResolveContext, target_of};
use super::source::{Access, Target};
use super::statement::{QueryTables, TableName};
use super::tables::Tables;
use super::union_table::{MemberColumns, UnionTable};
use crate::sharing::{Requester, subject};

/// The datasets behind each table of a query.
pub(super) type Targets = BTreeMap<TableName, Vec<Target>>;

/// What was decided for a query about each of our own collections and each purpose; `None` if there is no such collection.
type OwnScopes = Vec<((DatasetName, Purpose), Option<Scope>)>;

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
        requester: &Requester,
        absent: &mut Absent,
        report: &QueryReport,
    ) -> Result<Tables, FederationError> {
        let mut tables = Tables::default();
        let mut known: Vec<SharedDeclared> = Vec::new();
        for (name, targets) in targets {
            let mut members = match name.institution {
                Some(_) => self.member_of_one(targets, requester, &known, report).await?,
                None => {
                    let members = self.members_of_all(targets, (requester, known.as_slice()), absent, report);
                    members.await?
                }
            };
            for (target, shown) in &mut members {
                if let Some(shared) = shown.declared.take() {
                    if target.access != Access::Own {
                        target.rules = Some(shared.rules);
                    }
                    tables.declare(target, Arc::clone(&shared.declared));
                    known.push(shared);
                }
            }
            let mut columns: Vec<(Target, MemberColumns)> = members
                .into_iter()
                .map(|(target, shown)| (target, shown.columns))
                .collect();
            let table = match name.institution {
                Some(_) => columns
                    .pop()
                    .map(|(target, columns)| UnionTable::single(target, columns.schema)),
                None => Some(UnionTable::of_members(&name.dataset, columns)),
            };
            if let Some(table) = table {
                tables.insert(name, table);
            }
        }
        Ok(tables)
    }

    async fn member_of_one(
        &self,
        mut targets: Vec<Target>,
        requester: &Requester,
        known: &[SharedDeclared],
        report: &QueryReport,
    ) -> Result<Vec<(Target, Shown)>, FederationError> {
        let Some(target) = targets.pop() else {
            return Ok(Vec::new());
        };
        let shown = if target.tier < Tier::Records {
            self.declared_columns_of(&target, requester, known, report).await?
        } else {
            self.columns_of(&target, report).await?
        };
        Ok(vec![(target, shown)])
    }

    /// The members of a table of all. If one of them is below tier `records`, the parts of all are counted.
    async fn members_of_all(
        &self,
        targets: Vec<Target>,
        (requester, known): (&Requester, &[SharedDeclared]),
        absent: &mut Absent,
        report: &QueryReport,
    ) -> Result<Vec<(Target, Shown)>, FederationError> {
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
        let is_counted = present.iter().any(|target| target.tier < Tier::Records);
        let shown = present.iter().map(|target| async move {
            if is_counted {
                self.declared_columns_of(target, requester, known, report).await
            } else {
                self.columns_of(target, report).await
            }
        });
        let shown = join_all(shown).await;
        let mut members = Vec::new();
        for (target, shown) in present.into_iter().zip(shown) {
            match shown {
                Ok(shown) => members.push((target, shown)),
                Err(error) if error.absent_member().is_some() => {
                    leave_out(report, &target.dataset, &error);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match last {
            Some(error) if members.is_empty() => Err(error),
            Some(_) | None => Ok(members),
        }
    }

    /// The targets of each table of the query.
    ///
    /// # Errors
    /// [`FederationError`] if a table has none.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn targets(
        &self,
        parsed: &QueryTables,
        requester: &Requester,
        question: &Question,
        report: &QueryReport,
    ) -> Result<Targets, FederationError> {
        let parts = &self.0.parts;
        let purpose = question.purpose.as_ref();
        let grants = parts.grants.list().await;
        let members = self.peers();
        let context = ResolveContext {
            grants: &grants,
            members: &members,
            institution: &parts.identity.institution,
            purpose,
            now: parts.clock.now(),
        };
        let mut targets = Targets::new();
        let mut own = OwnScopes::new();
        for table in &parsed.tables {
            let found = match &table.institution {
                Some(institution) if institution == context.institution => {
                    let found = self.own((requester, &mut own), purpose, table, report).await?;
                    found.into_iter().collect()
                }
                Some(institution) => {
                    let dataset = table.at(institution.clone());
                    vec![context.remote(&dataset, &beside(&parsed.tables, table, institution))?]
                }
                None => {
                    self.all_members(&context, (table, &parsed.tables), (requester, &mut own), report)
                        .await?
                }
            };
            if found.is_empty() {
                let own = self.own_names(table, requester).await;
                return Err(context.no_provider(table, &own));
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
        (table, named): (&TableName, &BTreeSet<TableName>),
        requester: (&Requester, &mut OwnScopes),
        report: &QueryReport,
    ) -> Result<Vec<Target>, FederationError> {
        let beside = |institution: &InstitutionId| beside(named, table, institution);
        let mut targets = context.all_members(table, &beside, report)?;
        let purpose = context
            .purpose
            .cloned()
            .or_else(|| targets.first().map(|target| target.purpose.clone()));
        match self.own(requester, purpose.as_ref(), table, report).await {
            Ok(own) => targets.extend(own),
            Err(FederationError::Refused { refusal, .. }) => {
                let reasons: Vec<_> = refusal.reasons.into_iter().map(|reason| reason.text).collect();
                let own = table.at(context.institution.clone());
                report.leave_out(&own, Remark::missing_member(&own, &reasons.join("; ")));
            }
            Err(other) => return Err(other),
        }
        targets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        Ok(targets)
    }

    /// The names of our own datasets, if the table is one of this institution.
    async fn own_names(&self, table: &TableName, requester: &Requester) -> Vec<String> {
        let parts = &self.0.parts;
        if table.institution.as_ref() != Some(&parts.identity.institution) {
            return Vec::new();
        }
        let collection = CollectionName::from(&table.collection_name());
        parts.sharing.own_names(requester, &collection).await
    }

    /// The error for a refusal by this node itself.
    pub(super) fn refused_locally(&self, refusal: Refusal) -> FederationError {
        FederationError::Refused {
            provider: self.0.parts.identity.institution.clone(),
            refusal,
        }
    }

    /// Our own dataset, if there is one of that name. What was decided about its collection for another table of the query is in `own`.
    async fn own(
        &self,
        (requester, own): (&Requester, &mut OwnScopes),
        purpose: Option<&Purpose>,
        table: &TableName,
        report: &QueryReport,
    ) -> Result<Option<Target>, FederationError> {
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let sharing = &self.0.parts.sharing;
        let collection = table.collection_name();
        let of = |scope: &Option<Scope>, purpose| target_of(scope.as_ref()?, &table.dataset, Access::Own, purpose);
        let known = own
            .iter()
            .find(|((about, of), _)| *about == collection && *of == purpose);
        if let Some((_, scope)) = known {
            return Ok(of(scope, purpose));
        }
        let scope = sharing.local_scope(requester, &purpose, &collection).await;
        let scope = scope.map_err(|refusal| {
            report.refused(subject(&collection, &purpose), refusal.clone());
            self.refused_locally(refusal)
        })?;
        let target = of(&scope, purpose.clone());
        own.push(((collection, purpose), scope));
        Ok(target)
    }
}

/// The datasets of the same collection at `institution` that the query names beside `table`: one grant for all of them permits that its
/// holder joins them.
fn beside(tables: &BTreeSet<TableName>, table: &TableName, institution: &InstitutionId) -> Vec<DatasetRef> {
    let dataset = table.at(institution.clone());
    let of_institution = |other: &&TableName| other.institution.as_ref().is_none_or(|at| at == institution);
    let named = tables.iter().filter(of_institution);
    let others = named.map(|other| other.at(institution.clone()));
    others
        .filter(|other| other.collection() == dataset.collection() && *other != dataset)
        .collect()
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
