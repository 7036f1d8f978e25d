//! What a query does, in sentences.

use super::plan::LocalPlan;
use super::source::{Access, Target};

/// What is sent to which members and computed from their answers.
pub(super) fn describe_local(local: &LocalPlan) -> Vec<String> {
    let mut steps: Vec<_> = local
        .fragments
        .iter()
        .flat_map(|fragment| &fragment.queries)
        .map(|part| describe_query(&part.target, &part.query.sql))
        .collect();
    for (table, targets) in &local.records {
        let from: Vec<_> = targets.iter().map(|target| target.dataset.to_string()).collect();
        steps.push(format!(
            "the records of `{table}` are transferred from {}",
            from.join(", ")
        ));
    }
    steps.push(format!("computed by this node: {}", local.text));
    steps
}

/// What is sent to one member.
pub(super) fn describe_query(target: &Target, sql: &str) -> String {
    let access = match target.access {
        Access::Grant(grant) => format!("under grant {} at tier `{}`", grant.short(), target.tier),
        Access::Own => "as our own dataset".to_owned(),
    };
    format!(
        "`{}` is queried {access} for `{}`: {sql}",
        target.dataset, target.purpose
    )
}
