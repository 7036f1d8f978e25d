//! What a query would do, without sending it.

use std::sync::Arc;

use concordat_protocol::ids::{DatasetName, InstitutionId};

use concordat_protocol::scope::Purpose;
use tokio_util::task::TaskTracker;

use super::Question;
use super::absent::Absent;
use super::error::FederationError;
use super::handle::Federation;
use super::plan::{LocalPlan, Plan};
use super::provider_client::ProviderClient;
use super::report::QueryReport;
use super::source::{Access, Target};
use super::statement::{ParsedQuery, TableName};
use crate::iam::Actor;
use crate::sharing::Requester;
use concordat_policy::Explanation;

impl Federation {
    /// Describes in sentences which members would get which queries for `question`. No query is sent.
    ///
    /// # Errors
    /// The [`FederationError`] that the query would fail with before it begins.
    pub async fn explain(&self, actor: &Actor, question: &Question) -> Result<Vec<String>, FederationError> {
        let requester = Requester::authorize(actor)?;
        let report = QueryReport::default();
        let client = ProviderClient::new(self.clone(), requester.clone(), report.clone(), TaskTracker::new());
        let parsed = ParsedQuery::parse(&question.sql)?;
        let targets = self.targets(&parsed, &requester, question, &report).await?;
        let tables = self.tables(targets, &mut Absent::default(), &report).await?;
        let mut steps = match self.plan(parsed, tables, Arc::new(client), &report).await? {
            Plan::Whole { target, query } => vec![describe_query(&target, &query.sql)],
            Plan::Local(local) => describe_local(&local),
        };
        steps.extend(report.summary().notes);
        Ok(steps)
    }

    /// The tables that `sql` names: the institution, or `None` for those of all members, and the dataset.
    ///
    /// # Errors
    /// [`FederationError`] if the text is not a valid query.
    pub fn named_tables(&self, sql: &str) -> Result<Vec<(Option<InstitutionId>, DatasetName)>, FederationError> {
        let tables = ParsedQuery::parse(sql)?.tables;
        Ok(tables
            .into_iter()
            .map(|table| (table.institution, table.dataset))
            .collect())
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

fn describe_local(local: &LocalPlan) -> Vec<String> {
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
