//! Members that did not answer, left out of the plan of the next attempt.

use std::collections::BTreeMap;

use concordat_protocol::ids::InstitutionId;

use super::error::FederationError;
use super::statement::QueryTables;

/// The members that did not answer earlier attempts at a query, each with the error.
#[derive(Debug, Default)]
pub(super) struct Absent(BTreeMap<InstitutionId, FederationError>);

impl Absent {
    /// Leaves the member out that did not answer.
    ///
    /// # Errors
    /// The same error if the query cannot do without the member: it names the member's table, or `error` is about something else. Each
    /// member is added once, so a query has at most as many attempts as it has members.
    pub(super) fn add(
        &mut self,
        error: FederationError,
        query: &QueryTables,
        own: &InstitutionId,
    ) -> Result<(), FederationError> {
        let Some(member) = error.absent_member().filter(|member| *member != own).cloned() else {
            return Err(error);
        };
        let of_consortium = query.tables.iter().any(|table| table.institution.is_none());
        let named = query
            .tables
            .iter()
            .any(|table| table.institution.as_ref() == Some(&member));
        if !of_consortium || named || self.0.contains_key(&member) {
            return Err(error);
        }
        self.0.insert(member, error);
        Ok(())
    }

    /// Why the member is left out, if it is.
    pub(super) fn reason(&self, member: &InstitutionId) -> Option<&FederationError> {
        self.0.get(member)
    }

    /// The error of one of the members, for a table that has no other.
    pub(super) fn take(&mut self, member: &InstitutionId) -> Option<FederationError> {
        self.0.remove(member)
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::wire::messages::{Refusal, RefusalCode};

    use super::*;
    use crate::federation::statement::ParsedQuery;

    fn refused(provider: &str, code: RefusalCode) -> FederationError {
        FederationError::Refused {
            provider: provider.parse().unwrap(),
            refusal: Refusal {
                code,
                reasons: Vec::new(),
            },
        }
    }

    fn added(sql: &str, error: FederationError) -> Result<(), FederationError> {
        let query = ParsedQuery::parse(sql).unwrap().query_tables();
        Absent::default().add(error, &query, &"own".parse().unwrap())
    }

    #[test]
    fn absent_member_is_left_out_of_consortium_tables_only() {
        let consortium = "SELECT count(*) FROM consortium.stays";
        let both = "SELECT count(*) FROM consortium.stays, beta.stays";
        let denied = || refused("beta", RefusalCode::Denied);
        assert!(added(consortium, denied()).is_ok());
        assert!(added(both, denied()).is_err());
        assert!(added("SELECT count(*) FROM beta.stays", denied()).is_err());
        assert!(added(consortium, refused("own", RefusalCode::Busy)).is_err());
        assert!(added(consortium, refused("beta", RefusalCode::Invalid)).is_err());
        assert!(added(consortium, FederationError::usage("a mistake")).is_err());
    }

    #[test]
    fn absent_member_is_added_once() {
        let query = ParsedQuery::parse("SELECT count(*) FROM consortium.stays")
            .unwrap()
            .query_tables();
        let own = "own".parse().unwrap();
        let beta = "beta".parse().unwrap();
        let mut absent = Absent::default();
        assert!(absent.add(refused("beta", RefusalCode::Busy), &query, &own).is_ok());
        assert!(absent.reason(&beta).is_some());
        assert!(absent.add(refused("beta", RefusalCode::Busy), &query, &own).is_err());
        assert!(absent.take(&beta).is_some());
    }
}
