//! What a query would do, without sending it.

use concordat_protocol::ids::{DatasetName, InstitutionId};

use concordat_protocol::scope::Purpose;

use super::Question;
use super::absent::Absent;
use super::description::describe_query;
use super::error::FederationError;
use super::handle::Federation;
use super::local_engine::Planned;
use super::report::QueryReport;
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
        let parsed = ParsedQuery::parse(&question.sql)?;
        let targets = self.targets(&parsed, &requester, question, &report).await?;
        let tables = self.tables(targets, &mut Absent::default(), &report).await?;
        let mut steps = match self.plan(actor, &question.sql, &tables, &report).await? {
            Planned::Whole { target, query } => vec![describe_query(&target, &query.sql)],
            Planned::Local(local) => local.steps,
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
