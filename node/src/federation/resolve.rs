//! Which grant stands behind a table.

use std::collections::BTreeMap;

use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{DatasetName, DatasetRef, InstitutionId};
use concordat_protocol::scope::{Purpose, Scope};
use concordat_protocol::time::Timestamp;

use super::fault::QueryFault;
use super::journal::Journal;
use super::source::{Right, Target};
use super::statement::TableName;
use crate::negotiation::GrantView;

/// What is known when tables are resolved.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// All grants this node is a party to.
    pub(super) grants: &'a [GrantView],
    /// This institution.
    pub(super) ours: &'a InstitutionId,
    /// What the query is for, if it says so.
    pub(super) purpose: Option<&'a Purpose>,
    /// Now.
    pub(super) now: Timestamp,
}

impl Known<'_> {
    /// The grant of another institution that stands behind `dataset`: among those in force that allow the purpose the one with
    /// the highest tier, then the most columns, then the newest.
    pub(super) fn remote(&self, dataset: &DatasetRef) -> Result<Target, QueryFault> {
        let held: Vec<_> = self
            .held()
            .filter(|view| view.terms.scope.dataset == *dataset)
            .collect();
        let refused = |reason: String| {
            QueryFault::no_grant(
                dataset.to_string(),
                &dataset.dataset,
                Some(&dataset.institution),
                reason,
            )
        };
        if held.is_empty() {
            return Err(refused("none was ever agreed".to_owned()));
        }
        let in_force: Vec<_> = held
            .iter()
            .filter(|view| view.effective(self.now) == Effective::Active)
            .collect();
        if in_force.is_empty() {
            let last = held.iter().max_by_key(|view| view.terms.agreed_at);
            let reason = last.map_or_else(String::new, |view| standing(view, self.now));
            let remedy = last.and_then(|view| remedy(view, self.now));
            return Err(match remedy {
                Some(remedy) => refused(reason).with_help(remedy),
                None => refused(reason),
            });
        }
        let fits = |view: &&&&GrantView| {
            self.purpose
                .is_none_or(|purpose| view.terms.scope.purposes.allow(purpose))
        };
        let best = in_force.iter().filter(fits).max_by_key(|view| {
            let scope = &view.terms.scope;
            (scope.tier, scope.columns.len(), view.terms.agreed_at, view.terms.grant)
        });
        match best {
            Some(view) => self.target(view),
            None => {
                let allowed: Vec<_> = in_force
                    .iter()
                    .map(|view| view.terms.scope.purposes.to_string())
                    .collect();
                Err(refused(format!("the purposes agreed are {}", allowed.join(", "))))
            }
        }
    }

    /// The institutions that have granted us a dataset of this name, whether or not the grant can be used.
    pub(super) fn sharers(&self, dataset: &DatasetName) -> Vec<DatasetRef> {
        let mut sharers = BTreeMap::new();
        for view in self.held().filter(|view| view.terms.scope.dataset.dataset == *dataset) {
            sharers.insert(view.terms.provider.clone(), view.terms.scope.dataset.clone());
        }
        sharers.into_values().collect()
    }

    /// Everybody whose share of `consortium.dataset` can be asked for; who cannot be asked is noted, not passed over.
    pub(super) fn everybody(&self, dataset: &DatasetName, journal: &Journal) -> Result<Vec<Target>, QueryFault> {
        let mut targets = Vec::new();
        for sharer in self.sharers(dataset) {
            match self.remote(&sharer) {
                Ok(target) => targets.push(target),
                Err(QueryFault::NoGrant { reason, .. }) => {
                    journal.note(format!("`{sharer}` is not part of the answer: {reason}"))
                }
                Err(other) => return Err(other),
            }
        }
        Ok(targets)
    }

    /// The table when nobody stands behind it.
    pub(super) fn nobody(&self, table: &TableName) -> QueryFault {
        QueryFault::no_grant(
            table.to_string(),
            &table.dataset,
            table.institution.as_ref(),
            "nobody shares it with you",
        )
    }

    fn held(&self) -> impl Iterator<Item = &GrantView> {
        self.grants.iter().filter(|view| view.party == Party::Consumer)
    }

    fn target(&self, view: &GrantView) -> Result<Target, QueryFault> {
        let scope = &view.terms.scope;
        let purpose = match (self.purpose, scope.purposes.iter().collect::<Vec<_>>().as_slice()) {
            (Some(purpose), _) => purpose.clone(),
            (None, [only]) => (*only).clone(),
            (None, allowed) => {
                return Err(QueryFault::PurposeNeeded {
                    dataset: scope.dataset.clone(),
                    allowed: allowed.iter().map(|purpose| (*purpose).clone()).collect(),
                });
            }
        };
        Ok(target_of(scope, Right::Grant(view.terms.grant), purpose))
    }
}

/// The target that `scope` describes.
pub(super) fn target_of(scope: &Scope, right: Right, purpose: Purpose) -> Target {
    let columns = scope.columns.names().map(ToString::to_string);
    Target {
        dataset: scope.dataset.clone(),
        version: None,
        right,
        tier: scope.tier,
        purpose,
        columns: columns.collect(),
    }
}

/// What to do about a grant that can be used again without another request.
fn remedy(view: &GrantView, now: Timestamp) -> Option<String> {
    let holder = &view.terms.provider;
    match view.effective(now) {
        Effective::Suspended => Some(format!("ask the data steward of `{holder}` to resume the grant")),
        Effective::NotYet => Some("ask again then; `concordat status` shows the time by this node's clock".to_owned()),
        Effective::Active | Effective::Revoked | Effective::Relinquished | Effective::Expired => None,
    }
}

/// Where a grant stands that cannot be used.
fn standing(view: &GrantView, now: Timestamp) -> String {
    let reason = view
        .state
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let window = view.terms.scope.window;
    let what = match view.effective(now) {
        Effective::NotYet => format!("is in force only from {}", window.not_before()),
        Effective::Active => "is in force".to_owned(),
        Effective::Suspended => format!("is suspended{reason}"),
        Effective::Revoked => format!("was revoked{reason}"),
        Effective::Relinquished => "was given back".to_owned(),
        Effective::Expired => format!("expired at {}", window.not_after()),
    };
    format!("the grant {} {what}", view.terms.grant.short())
}
