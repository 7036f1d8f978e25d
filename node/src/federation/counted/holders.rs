//! The holders of what a grouping reads, and the grouping as each of them computes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use concordat_engine::{CommonGrouping, Condition, Grouping};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::scope::Tier;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Aggregate;

use crate::federation::counted::at_member::at_member;
use crate::federation::counted::member::{Member, no_common};
use crate::federation::counted::read_tables::{ReadTable, target_at};
use crate::federation::declared::{Declared, not_declared};
use crate::federation::error::FederationError;
use crate::federation::remark::Remark;
use crate::federation::report::QueryReport;
use crate::federation::source::Target;
use crate::federation::statement::TableName;
use crate::federation::tables::Tables;

/// The grouping of each member, with whether it has records.
type Groupings = Vec<(Grouping, bool)>;

/// The members that have all tables of a grouping under one permission, and the grouping of each, with whether it has records. A
/// condition on the institution leaves members out.
///
/// # Errors
/// [`FederationError`] if the tables are not of one collection, if a member shares them under several grants, and if a member cannot compute
/// the grouping.
pub(super) fn members(
    (tables, state): (&Tables, &SessionState),
    report: &QueryReport,
    grouping: &Aggregate,
    read: &[ReadTable<'_>],
) -> Result<(Vec<Member>, Groupings), FederationError> {
    require_one_collection(read)?;
    let mut members = Vec::new();
    let mut groupings = Vec::new();
    let mut refusing = None;
    for institution in holders(read) {
        let Some(target) = target_of(institution, read, report)? else {
            continue;
        };
        let (plan, has_false) = at_member((tables, state), institution, grouping)?;
        let declared = tables.declared(target).ok_or_else(|| not_declared(target))?;
        let statistics = &declared.statistics;
        let member = Member {
            target: target.clone(),
            declared: Arc::clone(declared),
        };
        let grouping = match Grouping::lowered(&plan, &statistics.rules, &statistics.scope) {
            Ok(grouping) => grouping,
            Err(error) => {
                refusing.get_or_insert((member, error));
                continue;
            }
        };
        // A condition on the institution of the rows excludes them; one on that of events does not.
        if has_false && *grouping.statistic().rows() == Condition::Never {
            continue;
        }
        groupings.push((grouping, target.tier == Tier::Records));
        members.push(member);
    }
    let Some((member, error)) = refusing else {
        return Ok((members, groupings));
    };
    let Declared { statistics, .. } = member.declared.as_ref();
    let difference = CommonGrouping::undecided(&groupings, &statistics.rules, &statistics.scope);
    let dataset = member.target.dataset.clone();
    members.push(member);
    Err(difference.map_or_else(
        || FederationError::query(&dataset, error),
        |difference| no_common(&members, difference),
    ))
}

/// Datasets are counted together if they are of one collection and version.
fn require_one_collection(read: &[ReadTable<'_>]) -> Result<(), FederationError> {
    let Some(((name, _), others)) = read.split_first() else {
        return Ok(());
    };
    let is_beside = |other: &TableName| {
        let of = |name: &TableName| (name.institution.clone(), name.collection.clone(), name.version);
        name.collection.is_some() && of(name) == of(other)
    };
    match others.iter().find(|(other, _)| !is_beside(other)) {
        None => Ok(()),
        Some((other, _)) => Err(FederationError::usage_with(
            format!("`{name}` and `{other}` are counted together, and are not datasets of one collection and version"),
            "below `records`, each grouping reads datasets of one collection; join its result with that of another one",
        )),
    }
}

/// The institutions that hold one of the tables.
fn holders<'t>(read: &[ReadTable<'t>]) -> BTreeSet<&'t InstitutionId> {
    let holders = read.iter().flat_map(|&(_, table)| &table.members);
    holders.map(|member| &member.target.dataset.institution).collect()
}

/// The dataset of an institution in the first table, under whose permission all of them are read; `None`, with a remark, if the institution
/// does not share one of them.
fn target_of<'t>(
    institution: &InstitutionId,
    read: &[ReadTable<'t>],
    report: &QueryReport,
) -> Result<Option<&'t Target>, FederationError> {
    let mut shared = Vec::new();
    for &(name, table) in read {
        match target_at(table, institution) {
            Some(target) => shared.push((name, target)),
            None => {
                let reason = "it is not shared, and the query joins it with others";
                report.remark(Remark::missing_member(&name.at(institution.clone()), reason));
            }
        }
    }
    if shared.len() < read.len() {
        return Ok(None);
    }
    let Some(&(name, target)) = shared.first() else {
        return Ok(None);
    };
    let is_under_another = |of: &Target| of.access != target.access || of.purpose != target.purpose;
    match shared.iter().find(|(_, of)| is_under_another(of)) {
        None => Ok(Some(target)),
        Some((other, _)) => Err(FederationError::usage_with(
            format!("no one grant of {institution} covers `{name}` and `{other}`"),
            format!(
                "request one grant for all datasets that the query joins: `concordat grant request {institution}/{} --datasets …`",
                target.dataset.collection
            ),
        )),
    }
}
