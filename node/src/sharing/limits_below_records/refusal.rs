//! What the requester learns of a limit: its name, its number and when it ends. Nothing in it depends on data.

use concordat_protocol::ids::{ActorId, CollectionRef, InstitutionId};
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};

use super::counts::{Reached, Whose};

/// A query is over these limits.
pub(super) fn over(
    collection: &CollectionRef,
    (person, institution): (&ActorId, &InstitutionId),
    reached: &[Reached],
) -> Refusal {
    let holder = &collection.institution;
    let reason = |limit: &Reached| {
        let most = limit.most;
        let (rule, what) = match limit.whose {
            Whose::Person => (
                "person-queries-below-records",
                format!("the {most} queries below `records` that {person} may send to `{collection}` in 24 hours"),
            ),
            Whose::Institution => (
                "institution-queries-below-records",
                format!("the {most} queries below `records` that {institution} may send to `{collection}` in 24 hours"),
            ),
            Whose::All => (
                "all-queries-below-records",
                format!("the {most} queries below `records` that `{collection}` answers in 24 hours"),
            ),
        };
        let (text, remedy) = match limit.until {
            Some(until) => (
                format!("{what} are used up until {until}"),
                format!("send the query again after {until}, or ask a data steward of {holder} for another limit"),
            ),
            None => (
                format!("{what} permit no query"),
                format!("ask a data steward of {holder} for another limit"),
            ),
        };
        Reason {
            text,
            remedy: Some(remedy),
            rule: Some(rule.to_owned()),
        }
    };
    Refusal {
        code: RefusalCode::Denied,
        reasons: reached.iter().map(reason).collect(),
    }
}

/// The queries of a person are locked.
pub(super) fn locked(collection: &CollectionRef, (person, institution): (&ActorId, &InstitutionId)) -> Refusal {
    let CollectionRef {
        institution: holder,
        collection: name,
    } = collection;
    Refusal {
        code: RefusalCode::Denied,
        reasons: vec![Reason {
            text: format!("the queries of {person} below `records` to `{collection}` are locked"),
            remedy: Some(format!(
                "two data stewards of {holder} can unlock them: `concordat dataset unlock {name} --institution {institution} --person {person}`"
            )),
            rule: Some("release-locked".to_owned()),
        }],
    }
}
