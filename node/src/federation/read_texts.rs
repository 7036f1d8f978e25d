//! What people write, read for the node: queries before they are planned, and row conditions of requests and offers.
//!
//! 1. The parser is a library's, and calls itself. Bounds on tokens are a first check; that it runs in an engine process, until a deadline,
//!    is what contains it ([`read_query`]): whatever a text does to its process is an error of this text.
//! 2. One text of each person is read at a time ([`super::parsing`]).
//! 3. The process serves the planning of the person's query next, and a text that was read before is read by none
//!    ([`super::known_texts`]).

use super::error::FederationError;
use super::handle::Federation;
use super::local_engine::{read_condition, read_query};
use super::statement::QueryTables;
use crate::iam::Actor;
use crate::negotiation::RowCondition;

impl Federation {
    /// What the node has to know of the query `sql` of `actor`.
    ///
    /// # Errors
    /// [`FederationError`] if it is not a query, or cannot be read in time.
    pub(super) async fn query_tables(&self, actor: &Actor, sql: &str) -> Result<QueryTables, FederationError> {
        if let Some(known) = self.0.known_texts.find(sql) {
            return Ok(known);
        }
        let reading = read_query(&self.0.parts.sharing, actor, sql);
        let tables = self.0.parsing.run(actor.id(), reading).await?;
        self.0.known_texts.keep(sql, &tables);
        Ok(tables)
    }

    /// The comparisons of the row condition `text`, which `actor` requests or offers.
    ///
    /// # Errors
    /// [`FederationError`] if it is not a row condition, or cannot be read in time.
    pub async fn row_condition(&self, actor: &Actor, text: &str) -> Result<RowCondition, FederationError> {
        RowCondition::admit(text).map_err(|error| FederationError::usage(error.to_string()))?;
        let reading = read_condition(&self.0.parts.sharing, actor, text);
        self.0.parsing.run(actor.id(), reading).await
    }
}
