//! Runs the test cases that a steward writes.

use concordat_protocol::ids::ColumnName;
use concordat_protocol::membership::MemberStatus;
use concordat_protocol::policy_set::{Case, CaseOutcome, Decision};
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::Purpose;

use crate::facts::{ColumnFacts, Parties, Party};
use crate::load::Policy;
use crate::permitted;
use crate::request::RequestedColumn;
use crate::sample::RequestSpace;

impl Policy {
    /// Runs a case against this set.
    pub fn run(&self, case: &Case, space: &RequestSpace) -> CaseOutcome {
        let unusable = |why: &str| CaseOutcome {
            case: format!("{case:?}"),
            passed: false,
            found: why.to_owned(),
        };
        let Ok(purpose) = case.purpose.parse::<Purpose>() else {
            return unusable("this purpose does not exist");
        };
        let (Some(any), Some(collection)) = (space.members.first(), space.collections.first()) else {
            return unusable("there is no member that could request it");
        };
        let listed = case.institution.as_ref().and_then(|institution| {
            let mut members = space.members.iter();
            members.find(|member| member.institution == *institution)
        });
        let member = Party {
            institution: case.institution.clone().unwrap_or_else(|| any.institution.clone()),
            jurisdiction: case
                .jurisdiction
                .clone()
                .unwrap_or_else(|| listed.unwrap_or(any).jurisdiction.clone()),
            status: listed.map_or(Some(MemberStatus::Active), |listed| listed.status),
        };
        let name = case.column.clone().or_else(|| ColumnName::new("age").ok());
        let Some(name) = name else {
            return unusable("there is no column");
        };
        let Some(dataset) = collection.datasets.first() else {
            return unusable("there is no dataset that could be requested");
        };
        let column = ColumnFacts::new(name, case.class, ColumnKind::Int);
        let requested = RequestedColumn {
            column: &column,
            dataset,
            collection,
        };
        let parties = Parties {
            consumer: &member,
            holder: &space.holder,
        };
        let (line, request) = permitted::reveal(parties, requested, case.reveal, case.tier, &purpose);
        let allowed = self.authorize(&request).allowed;
        CaseOutcome {
            case: line,
            passed: allowed == (case.expect == Decision::Permit),
            found: if allowed { "permitted" } else { "denied" }.to_owned(),
        }
    }
}
