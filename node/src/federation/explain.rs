//! What a query would do, without sending it.

use concordat_protocol::scope::Purpose;

use super::error::FederationError;
use super::handle::Federation;
use super::plan::{Plan, plan};
use super::report::QueryReport;
use super::source::{Access, Target};
use super::statement::{ParsedQuery, TableName};
use crate::iam::Actor;
use crate::sharing::Requester;
use concordat_policy::Explanation;

impl Federation {
    /// Describes in sentences which members would get which queries for `sql`. No query is sent.
    ///
    /// # Errors
    /// The [`FederationError`] that the query would fail with before it begins.
    pub async fn explain(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<Purpose>,
    ) -> Result<Vec<String>, FederationError> {
        let requester = Requester::authorize(actor)?;
        let parsed = ParsedQuery::parse(sql)?;
        let report = QueryReport::default();
        let targets = self.targets(&parsed, &requester, purpose.as_ref(), &report).await?;
        let mut steps = match plan(parsed, &targets)? {
            Plan::Whole { target, sql } => vec![describe_query(&target, &sql)],
            Plan::Local {
                query,
                fragments,
                tables,
            } => {
                let mut steps: Vec<_> = fragments
                    .iter()
                    .flat_map(|fragment| &fragment.queries)
                    .map(|(target, sql)| describe_query(target, sql))
                    .collect();
                for (table, targets) in tables {
                    let from: Vec<_> = targets.iter().map(|target| target.dataset.to_string()).collect();
                    steps.push(format!(
                        "the records of `{table}` are transferred from {}",
                        from.join(", ")
                    ));
                }
                steps.push(format!("computed locally: {query}"));
                steps
            }
        };
        steps.extend(report.summary().notes);
        Ok(steps)
    }

    /// The decision of our own policy, rule by rule, about those tables of `sql` that are ours. Other holders decide about the rest
    /// by their own policies.
    ///
    /// # Errors
    /// [`FederationError`] if the actor may not query or the text is not a valid query.
    pub async fn explain_own(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<&Purpose>,
    ) -> Result<Explanation, FederationError> {
        let requester = Requester::authorize(actor)?;
        let parts = &self.0.parts;
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let ours = |table: &&TableName| {
            table
                .institution
                .as_ref()
                .is_none_or(|id| *id == parts.identity.institution)
        };
        let mut explanation = Explanation::default();
        for table in ParsedQuery::parse(sql)?.tables.iter().filter(ours) {
            let own = parts.sharing.explain_local(&requester, &purpose, &table.dataset).await;
            explanation.steps.extend(own.steps);
        }
        Ok(explanation)
    }
}

fn describe_query(target: &Target, sql: &str) -> String {
    let access = match target.access {
        Access::Grant(grant) => format!("under grant {} at tier `{}`", grant.short(), target.tier),
        Access::Own => "as our own dataset".to_owned(),
    };
    format!(
        "`{}` is queried {access} for `{}`: {sql}",
        target.dataset, target.purpose
    )
}
