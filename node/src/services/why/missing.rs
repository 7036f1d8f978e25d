//! What this node already knows to be missing for a query, before any policy decides: its roster, the connection, the grant, the purpose,
//! and what is recorded about the person. Each has a name that programs can compare.

use std::collections::BTreeSet;

use concordat_documents::decision::Missing;
use concordat_protocol::error_kind::{ErrorKind, Explain as _};
use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{CollectionName, DatasetRef, InstitutionId};
use concordat_protocol::query::Role;
use concordat_protocol::scope::Purpose;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::CatalogError;

use crate::iam::Actor;
use crate::negotiation::GrantView;
use crate::node::Node;
use crate::services::run::blocking;

/// What is missing for a query.
pub(super) async fn for_query(node: &Node, caller: &Actor, sql: &str, purpose: Option<&Purpose>) -> Vec<Missing> {
    let Ok(tables) = node.federation().named_tables(caller, sql).await else {
        // The text itself is what is wrong, and the decision states it.
        return Vec::new();
    };
    let now = node.clock().now();
    let ours = &node.identity().institution;
    let grants: Vec<GrantView> = node.grants().list().await;
    let held = || grants.iter().filter(|view| view.party == Party::Consumer);
    let mut of_others: BTreeSet<DatasetRef> = tables.datasets;
    for scope in held().map(|view| &view.terms.scope) {
        let of_members = tables.of_all_members.iter();
        let granted = of_members.filter(|(collection, dataset)| {
            scope.collection.collection == *collection && scope.datasets.get(dataset).is_some()
        });
        of_others.extend(granted.map(|(collection, dataset)| DatasetRef {
            institution: scope.collection.institution.clone(),
            collection: collection.clone(),
            dataset: dataset.clone(),
        }));
    }
    let own: BTreeSet<CollectionName> = of_others
        .iter()
        .filter(|dataset| dataset.institution == *ours)
        .map(|dataset| dataset.collection.clone())
        .collect();
    of_others.retain(|dataset| dataset.institution != *ours);
    let mut missing = of_ledger(node);
    for collection in own {
        missing.extend(of_own(node, &collection).await);
    }
    missing.extend(of_person(caller, now));
    if !of_others.is_empty() {
        missing.extend(of_roster(node, now));
    }
    let holders: BTreeSet<&InstitutionId> = of_others.iter().map(|dataset| &dataset.institution).collect();
    missing.extend(holders.into_iter().filter_map(|holder| of_peer(node, holder)));
    for dataset in &of_others {
        let about: Vec<&GrantView> = held().filter(|view| is_about(view, dataset)).collect();
        missing.extend(of_grants(dataset, &about, purpose, now));
    }
    missing
}

/// Whether a grant covers the dataset.
fn is_about(view: &GrantView, dataset: &DatasetRef) -> bool {
    let scope = &view.terms.scope;
    scope.collection == dataset.collection() && scope.datasets.get(&dataset.dataset).is_some()
}

/// What is missing for queries under a grant.
pub(super) fn for_grant(node: &Node, caller: &Actor, grant: &GrantView) -> Vec<Missing> {
    let now = node.clock().now();
    let mut missing = of_ledger(node);
    missing.extend(of_roster(node, now));
    let other = match grant.party {
        Party::Consumer => {
            missing.extend(of_person(caller, now));
            let people = &grant.terms.scope.people;
            if !people.allow(caller.id()) {
                let what = format!("the grant is for {people}, not for {}", caller.id());
                missing.push(Missing::new(
                    "person-agreed",
                    what,
                    Some("have the grant amended to name the person"),
                ));
            }
            &grant.terms.provider
        }
        Party::Provider => &grant.terms.consumer,
    };
    missing.extend(of_peer(node, other));
    missing.extend(of_state(grant, now));
    missing
}

fn of_ledger(node: &Node) -> Vec<Missing> {
    let failed = node.ledger().ready().err();
    let missing = |error: concordat_storage::ledger::LedgerError| {
        Missing::new("ledger-ready", error.to_string(), Some("concordat doctor"))
    };
    failed.map(missing).into_iter().collect()
}

/// What a dataset alone, or a collection, of this institution lacks.
async fn of_own(node: &Node, collection: &CollectionName) -> Option<Missing> {
    let name = collection.clone();
    let unclassified = blocking(node, move |node| {
        let datasets = node.storage().catalog().datasets();
        let record = datasets.collection(&name)?;
        let unclassified = datasets.unclassified_columns(&record)?;
        Ok::<_, CatalogError>((record.alone().is_some(), unclassified.len()))
    });
    match unclassified.await {
        Ok((_, 0)) => None,
        Ok((is_alone, columns)) => {
            let what = format!("{columns} columns of `{collection}` have no class");
            let help = match is_alone {
                true => format!("concordat dataset classify {collection} COLUMN=CLASS"),
                false => format!("concordat collection classify {collection} --from FILE"),
            };
            Some(Missing::new("columns-classified", what, Some(&help)))
        }
        Err(problem) if problem.code == ErrorKind::NotFound => Some(Missing::new(
            "dataset-exists",
            format!("there is no dataset `{collection}` at this institution"),
            Some("see `concordat dataset list`"),
        )),
        // The decision states what is wrong with the catalog.
        Err(_) => None,
    }
}

fn of_roster(node: &Node, now: Timestamp) -> Option<Missing> {
    let error = node.membership().valid_roster(now).err()?;
    let help = error.help();
    let help = help
        .as_deref()
        .unwrap_or("`concordat doctor` shows what is wrong and what to do");
    Some(Missing::new("roster-valid", error.to_string(), Some(help)))
}

/// What is recorded about the person. Which of it counts is decided by the policy of each holder.
fn of_person(caller: &Actor, now: Timestamp) -> Vec<Missing> {
    let mut missing = Vec::new();
    let person = caller.id();
    if !caller.roles().contains(&Role::Researcher) {
        let what = format!("{person} does not have the role researcher");
        let help = "an administrator can give the role with `concordat user role`";
        missing.push(Missing::new("role-researcher", what, Some(help)));
    }
    let help = Some("an administrator can record one with `concordat user training`");
    match caller.training() {
        None => {
            let what = format!("no training in the protection of patient data is recorded for {person}");
            missing.push(Missing::new("training-recorded", what, help));
        }
        Some(training) if training.until <= now => {
            let what = format!(
                "the training `{}` of {person} ended at {}",
                training.name, training.until
            );
            missing.push(Missing::new("training-valid", what, help));
        }
        Some(_) => {}
    }
    missing
}

fn of_peer(node: &Node, institution: &InstitutionId) -> Option<Missing> {
    let roster = node.membership().newest()?;
    let Some(member) = roster.active_member(institution) else {
        let what = format!("`{institution}` is not an active member of the consortium");
        return Some(Missing::new(
            "member-active",
            what,
            Some("concordat consortium roster show"),
        ));
    };
    let sessions = node.network().sessions();
    let sessions = sessions.borrow().clone();
    let attested = |node| sessions.get(node).is_some_and(|session| session.attested().is_some());
    if member.nodes.iter().any(|listed| attested(&listed.node)) {
        return None;
    }
    let rejected = node.membership().rejected_peers();
    let reason = member.nodes.iter().find_map(|listed| rejected.get(&listed.node));
    let what = match reason {
        Some(rejection) => format!("`{institution}` is not connected: {}", rejection.reason),
        None => format!("`{institution}` is not connected"),
    };
    let help =
        "`concordat consortium roster show` shows its addresses and when each was last good; ask whether its node runs";
    Some(Missing::new("peer-connected", what, Some(help)))
}

/// What is wrong with all grants of a dataset; empty if one of them can be used.
fn of_grants(dataset: &DatasetRef, grants: &[&GrantView], purpose: Option<&Purpose>, now: Timestamp) -> Vec<Missing> {
    if grants.is_empty() {
        let help = format!(
            "concordat grant request {}/{} --purpose PURPOSE --until DATE",
            dataset.institution, dataset.collection
        );
        let what = format!("no grant for `{dataset}` was agreed");
        return vec![Missing::new("grant-agreed", what, Some(&help))];
    }
    let active = || grants.iter().filter(|view| view.effective(now) == Effective::Active);
    if active().next().is_none() {
        return grants.iter().filter_map(|view| of_state(view, now)).collect();
    }
    let Some(purpose) = purpose else { return Vec::new() };
    if active().any(|view| view.terms.scope.purposes.allow(purpose)) {
        return Vec::new();
    }
    let agreed: Vec<String> = active().map(|view| view.terms.scope.purposes.to_string()).collect();
    let what = format!("`{dataset}` is granted for {}, not for {purpose}", agreed.join(", "));
    vec![Missing::new(
        "purpose-agreed",
        what,
        Some("use one of these purposes, or request another grant"),
    )]
}

/// Why a grant cannot be used; `None` if it is active.
fn of_state(grant: &GrantView, now: Timestamp) -> Option<Missing> {
    let id = grant.terms.grant.short();
    let window = grant.terms.scope.window;
    let reason = grant
        .state
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let holder = &grant.terms.provider;
    let resume = format!("a data steward of `{holder}` can resume it");
    let (what, help) = match grant.effective(now) {
        Effective::Active => return None,
        Effective::NotYet => (format!("is active only from {}", window.not_before()), None),
        Effective::Suspended => (format!("is suspended{reason}"), Some(resume.as_str())),
        Effective::Revoked => (format!("was revoked{reason}"), Some("request another grant")),
        Effective::Relinquished => ("was relinquished".to_owned(), Some("request another grant")),
        Effective::Expired => (
            format!("expired at {}", window.not_after()),
            Some("request another grant"),
        ),
    };
    Some(Missing::new("grant-active", format!("the grant {id} {what}"), help))
}
