//! What a query would do, without sending it.

use std::collections::BTreeSet;

use concordat_protocol::ids::{CollectionName, DatasetName, DatasetRef};

use concordat_protocol::scope::Purpose;

use super::Question;
use super::absent::Absent;
use super::description::describe_query;
use super::error::FederationError;
use super::handle::Federation;
use super::local_engine::Planned;
use super::report::QueryReport;
use super::statement::TableName;
use crate::iam::Actor;
use crate::sharing::Requester;
use concordat_policy::Explanation;

/// The tables that a query names.
#[derive(Debug, Default)]
pub struct NamedTables {
    /// Those of an institution.
    pub datasets: BTreeSet<DatasetRef>,
    /// Those of all members that grant a dataset of the name, each with the name of its collection.
    pub of_all_members: BTreeSet<(CollectionName, DatasetName)>,
}

impl Federation {
    /// Describes in sentences which members would get which queries for `question`. No query is sent.
    ///
    /// # Errors
    /// The [`FederationError`] that the query would fail with before it begins.
    pub async fn explain(&self, actor: &Actor, question: &Question) -> Result<Vec<String>, FederationError> {
        let requester = Requester::authorize(actor)?;
        let report = QueryReport::default();
        let parsed = self.query_tables(actor, &question.sql).await?;
        let targets = self.targets(&parsed, &requester, question, &report).await?;
        let tables = self
            .tables(targets, &requester, &mut Absent::default(), &report)
            .await?;
        let mut steps = match self.plan(actor, &question.sql, &tables, &report).await? {
            Planned::Whole { target, query } => vec![describe_query(&target, &query.sql)],
            Planned::Local(local) => local.steps,
        };
        steps.extend(report.summary().notes);
        Ok(steps)
    }

    /// The tables that `sql` names.
    ///
    /// # Errors
    /// [`FederationError`] if the text is not a valid query.
    pub async fn named_tables(&self, actor: &Actor, sql: &str) -> Result<NamedTables, FederationError> {
        let mut named = NamedTables::default();
        for table in self.query_tables(actor, sql).await?.tables {
            match table.institution.clone() {
                Some(institution) => {
                    named.datasets.insert(table.at(institution));
                }
                None => {
                    let collection = CollectionName::from(&table.collection_name());
                    named.of_all_members.insert((collection, table.dataset));
                }
            }
        }
        Ok(named)
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
        let parsed = self.query_tables(actor, sql).await?;
        // The decision is about a collection, whichever of its datasets are named.
        let own = parsed.tables.iter().filter(ours).map(TableName::collection_name);
        let own: BTreeSet<DatasetName> = own.collect();
        for collection in own {
            let decided = parts.sharing.explain_local(&requester, &purpose, &collection).await;
            explanation.steps.extend(decided.steps);
        }
        Ok(explanation)
    }
}
