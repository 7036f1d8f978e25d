//! Finds the grant for each table of a query.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{CollectionName, CollectionRef, DatasetName, DatasetRef, InstitutionId};
use concordat_protocol::scope::{DatasetScope, Purpose, Scope, Tier};
use concordat_protocol::time::Timestamp;

use super::error::FederationError;
use super::not_granted::{NotGranted, not_granted, own_help, tables_of_all};
use super::remark::Remark;
use super::report::QueryReport;
use super::source::{Access, Target};
use super::statement::TableName;
use crate::negotiation::GrantView;

/// What tables are resolved against.
#[derive(Debug)]
pub(super) struct ResolveContext<'a> {
    /// All grants this node is a party to.
    pub(super) grants: &'a [GrantView],
    /// The other members; empty if there is no valid roster.
    pub(super) members: &'a [InstitutionId],
    /// This institution.
    pub(super) institution: &'a InstitutionId,
    /// The purpose of the query, if it states one.
    pub(super) purpose: Option<&'a Purpose>,
    /// The current time.
    pub(super) now: Timestamp,
}

impl ResolveContext<'_> {
    /// The grant of another institution for `dataset`: of the active grants that allow the purpose, one for records of all datasets
    /// `beside` it, then one for all of them below `records` unless each has a grant for records, then the one with the highest tier, then
    /// the most columns, then the newest.
    pub(super) fn remote(&self, dataset: &DatasetRef, beside: &[DatasetRef]) -> Result<Target, FederationError> {
        let held: Vec<_> = self
            .held_grants()
            .filter(|view| granted(view, dataset).is_some())
            .collect();
        let refused = |reason: String| {
            FederationError::no_grant(
                dataset.to_string(),
                &dataset.collection,
                Some(&dataset.institution),
                reason,
            )
        };
        if held.is_empty() {
            let NotGranted { reason, help } = not_granted(dataset, &self.granted(), self.members);
            let refused = refused(reason);
            return Err(match help {
                Some(help) => refused.with_help(help),
                None => refused,
            });
        }
        let active: Vec<_> = held
            .iter()
            .filter(|view| view.effective(self.now) == Effective::Active)
            .collect();
        if active.is_empty() {
            let last = held.iter().max_by_key(|view| view.terms.agreed_at);
            let reason = last.map_or_else(String::new, |view| state_description(view, self.now));
            let remedy = last.and_then(|view| remedy(view, self.now));
            return Err(match remedy {
                Some(remedy) => refused(reason).with_help(remedy),
                None => refused(reason),
            });
        }
        let allows = |view: &GrantView| {
            self.purpose
                .is_none_or(|purpose| view.terms.scope.purposes.allow(purpose))
        };
        let fits = |view: &&&&GrantView| allows(view);
        let is_for_records = |of: &DatasetRef| {
            self.held_grants().any(|view| {
                view.terms.scope.tier == Tier::Records
                    && view.effective(self.now) == Effective::Active
                    && granted(view, of).is_some()
                    && allows(view)
            })
        };
        // Then this node joins the rows.
        let each_for_records = is_for_records(dataset) && beside.iter().all(is_for_records);
        let best = active.iter().filter(fits).max_by_key(|view| {
            let tier = view.terms.scope.tier;
            let has_all = beside.iter().all(|other| granted(view, other).is_some());
            let joins = has_all && (tier == Tier::Records || !each_for_records);
            let joins_records = has_all && tier == Tier::Records;
            // Of all datasets, so that each of them gets the same grant.
            let joined = beside.iter().filter(|_| joins);
            let shown = std::iter::once(dataset)
                .chain(joined)
                .filter_map(|of| granted(view, of));
            let columns: usize = shown.map(|of| of.columns.len()).sum();
            let order = (tier, columns, view.terms.agreed_at, view.terms.grant);
            let has_others = !beside.is_empty();
            (joins_records && has_others, joins && has_others, order)
        });
        match best {
            Some(view) => self.target(view, dataset),
            None => {
                let allowed: Vec<_> = active
                    .iter()
                    .map(|view| view.terms.scope.purposes.to_string())
                    .collect();
                Err(refused(format!("the purposes agreed are {}", allowed.join(", "))))
            }
        }
    }

    /// The datasets of this name that institutions have granted us, whether or not the grant can be used: those of collections of one, or
    /// those of the collection that the table names.
    pub(super) fn providers(&self, table: &TableName) -> Vec<DatasetRef> {
        let mut providers = BTreeMap::new();
        for view in self.held_grants() {
            let reference = match &table.collection {
                None => {
                    let only = view.terms.scope.only().map(|(reference, _)| reference);
                    only.filter(|reference| reference.dataset == table.dataset)
                }
                Some(_) => {
                    let reference = table.at(view.terms.provider.clone());
                    granted(view, &reference).is_some().then_some(reference)
                }
            };
            if let Some(reference) = reference {
                providers.insert(view.terms.provider.clone(), reference);
            }
        }
        providers.into_values().collect()
    }

    /// All members whose part of a table of `consortium` can be queried. The others are left out with a remark, so that none is missing
    /// silently. `beside` returns the datasets of a member that the query names too.
    pub(super) fn all_members(
        &self,
        table: &TableName,
        beside: &dyn Fn(&InstitutionId) -> Vec<DatasetRef>,
        report: &QueryReport,
    ) -> Result<Vec<Target>, FederationError> {
        let mut targets = Vec::new();
        for provider in self.providers(table) {
            match self.remote(&provider, &beside(&provider.institution)) {
                Ok(target) => targets.push(target),
                Err(FederationError::NoGrant { reason, .. }) => {
                    let remark = if self.has_ended(&provider) {
                        Remark::former_member(&provider, &reason)
                    } else {
                        Remark::missing_member(&provider, &reason)
                    };
                    report.leave_out(&provider, remark);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(targets)
    }

    /// Whether every grant for `dataset` has ended for good.
    fn has_ended(&self, dataset: &DatasetRef) -> bool {
        let mut held = self.held_grants().filter(|view| granted(view, dataset).is_some());
        held.all(|view| match view.effective(self.now) {
            Effective::Revoked | Effective::Relinquished | Effective::Expired => true,
            Effective::NotYet | Effective::Active | Effective::Suspended => false,
        })
    }

    /// The error for a table that no member shares: why none of the grants for it can be used, if there are any. `own` are the names that there are
    /// at this institution, as far as the person may list them.
    pub(super) fn no_provider(&self, table: &TableName, own: &[String]) -> FederationError {
        let providers = match table.institution {
            None => self.providers(table),
            Some(_) => Vec::new(),
        };
        let unusable = providers
            .iter()
            .filter_map(|provider| match self.remote(provider, &[]) {
                Err(FederationError::NoGrant { reason, help, .. }) => Some((format!("`{provider}`: {reason}"), help)),
                Ok(_) | Err(_) => None,
            });
        let (reasons, remedies): (Vec<String>, Vec<String>) = unusable.unzip();
        let no_grant = |reason: &str| {
            let collection = CollectionName::from(&table.collection_name());
            FederationError::no_grant(table.to_string(), &collection, table.institution.as_ref(), reason)
        };
        if table.institution.as_ref() == Some(self.institution) {
            // A dataset of one's own institution is never requested.
            return FederationError::usage_with(
                format!("there is no dataset `{}` at your own institution", table.dataset),
                own_help(&own_name(table), own),
            );
        }
        if reasons.is_empty() {
            let refused = no_grant("no member shares it with you");
            return match tables_of_all(&table.to_string(), &self.granted()) {
                Some(help) => refused.with_help(help),
                None => refused,
            };
        }
        no_grant(&reasons.join("; ")).with_help(remedies.join("; "))
    }

    /// The datasets of all grants to this institution, whether or not these can be used, each once.
    fn granted(&self) -> Vec<DatasetRef> {
        let of_view = |view: &GrantView| {
            let CollectionRef {
                institution,
                collection,
            } = view.terms.scope.collection.clone();
            let names = view.terms.scope.datasets.names().cloned().collect::<Vec<_>>();
            names.into_iter().map(move |dataset| DatasetRef {
                institution: institution.clone(),
                collection: collection.clone(),
                dataset,
            })
        };
        let all: BTreeSet<DatasetRef> = self.held_grants().flat_map(of_view).collect();
        all.into_iter().collect()
    }

    fn held_grants(&self) -> impl Iterator<Item = &GrantView> {
        self.grants.iter().filter(|view| view.party == Party::Consumer)
    }

    fn target(&self, view: &GrantView, dataset: &DatasetRef) -> Result<Target, FederationError> {
        let scope = &view.terms.scope;
        let purpose = match (self.purpose, scope.purposes.iter().collect::<Vec<_>>().as_slice()) {
            (Some(purpose), _) => purpose.clone(),
            (None, [only]) => (*only).clone(),
            (None, allowed) => {
                return Err(FederationError::PurposeNeeded {
                    dataset: dataset.clone(),
                    allowed: allowed.iter().map(|purpose| (*purpose).clone()).collect(),
                });
            }
        };
        let target = target_of(scope, &dataset.dataset, Access::Grant(view.terms.grant), purpose);
        target.ok_or_else(|| {
            FederationError::no_grant(
                dataset.to_string(),
                &dataset.collection,
                Some(&dataset.institution),
                "the grant does not cover it".to_owned(),
            )
        })
    }
}

/// An own table without its institution.
fn own_name(table: &TableName) -> String {
    match &table.collection {
        Some(collection) => format!("{collection}.{}", table.dataset),
        None => table.dataset.to_string(),
    }
}

/// What a grant covers of the dataset; `None` if it does not cover it.
fn granted<'a>(view: &'a GrantView, dataset: &DatasetRef) -> Option<&'a DatasetScope> {
    let scope = &view.terms.scope;
    let is_about = scope.collection == dataset.collection();
    is_about.then(|| scope.datasets.get(&dataset.dataset)).flatten()
}

/// The target that `scope` describes with this dataset; `None` if it does not cover the dataset.
pub(super) fn target_of(scope: &Scope, dataset: &DatasetName, access: Access, purpose: Purpose) -> Option<Target> {
    let covered = scope.datasets.get(dataset)?;
    let CollectionRef {
        institution,
        collection,
    } = scope.collection.clone();
    Some(Target {
        dataset: DatasetRef {
            institution,
            collection,
            dataset: dataset.clone(),
        },
        version: None,
        access,
        tier: scope.tier,
        purpose,
        columns: covered.columns.clone(),
        rules: None,
    })
}

/// What to do about a grant that can become usable again without another request.
fn remedy(view: &GrantView, now: Timestamp) -> Option<String> {
    let holder = &view.terms.provider;
    match view.effective(now) {
        Effective::Suspended => Some(format!("ask the data steward of `{holder}` to resume the grant")),
        Effective::NotYet => {
            Some("query again then; `concordat status` shows the time by this node's clock".to_owned())
        }
        Effective::Active | Effective::Revoked | Effective::Relinquished | Effective::Expired => None,
    }
}

/// The state of a grant that cannot be used.
fn state_description(view: &GrantView, now: Timestamp) -> String {
    let reason = view
        .state
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let window = view.terms.scope.window;
    let what = match view.effective(now) {
        Effective::NotYet => format!("is active only from {}", window.not_before()),
        Effective::Active => "is active".to_owned(),
        Effective::Suspended => format!("is suspended{reason}"),
        Effective::Revoked => format!("was revoked{reason}"),
        Effective::Relinquished => "was relinquished".to_owned(),
        Effective::Expired => format!("expired at {}", window.not_after()),
    };
    format!("the grant {} {what}", view.terms.grant.short())
}
