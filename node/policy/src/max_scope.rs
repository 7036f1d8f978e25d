//! The maximum scope that any request of a member could get: the catalog shows exactly that.

use std::collections::BTreeSet;

use concordat_protocol::{
    ids::ColumnName,
    scope::{
        Columns, Generalization, InvalidScope, Limits, People, Places, Purpose, Purposes, Rows, Scope, Tier, Transform,
        Window,
    },
    time::Timestamp,
};

use crate::facts::{CollectionFacts, Party};
use crate::load::Policy;
use crate::offer::{OfferDecision, OfferInput};

/// The purposes that are tried. What is shown only for a single disease can be found only by a request for that disease.
const PURPOSES: [Purpose; 5] = [
    Purpose::HealthResearch,
    Purpose::GeneralResearch,
    Purpose::MethodsDevelopment,
    Purpose::Ancestry,
    Purpose::ClinicalCare,
];
/// The window of the tried requests: any window in the future gives the same result.
const DAY_MS: i64 = 86_400_000;

/// The maximum that any request could get of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxScope {
    /// The highest tier.
    pub tier: Tier,
    /// The columns that are shown, in clear or transformed.
    pub columns: BTreeSet<ColumnName>,
}

impl Policy {
    /// The maximum scope of a dataset for `consumer`, over all purposes; `None` if the dataset is hidden from it.
    pub fn max_scope(
        &self,
        consumer: &Party,
        provider: &Party,
        facts: &CollectionFacts,
        now: Timestamp,
    ) -> Option<MaxScope> {
        let mut max_scope = MaxScope {
            tier: Tier::Exists,
            columns: BTreeSet::new(),
        };
        for purpose in PURPOSES {
            let window = Window::new(now, now.plus_millis(DAY_MS)).ok()?;
            let request = whole(facts, purpose, People::Any, Places::Any, window).ok()?;
            for request in [ageless(&request, facts)?, request] {
                let input = OfferInput {
                    consumer,
                    provider,
                    collection: Some(facts),
                    request: &request,
                    // What it has under other grants does not count: it can give them up.
                    held: &[],
                };
                match self.offer(&input, now) {
                    OfferDecision::Offer(offer) => {
                        max_scope.tier = max_scope.tier.max(offer.scope.tier);
                        max_scope.columns.extend(offer.scope.columns.names().cloned());
                    }
                    OfferDecision::Refused(refusal) if refusal.hides_the_dataset() => return None,
                    OfferDecision::Refused(_) => {}
                }
            }
        }
        Some(max_scope)
    }
}

/// The same request without ages, because years of birth are not shown together with ages.
fn ageless(request: &Scope, facts: &CollectionFacts) -> Option<Scope> {
    let is_age = |name: &ColumnName| {
        let known = facts.column(name).and_then(|column| column.generalization);
        matches!(known, Some(Generalization::AgeBand(_)))
    };
    let columns = request.columns.iter().filter(|(name, _)| !is_age(name));
    let columns = Columns::new(columns.map(|(name, transform)| (name.clone(), transform))).ok()?;
    Some(Scope {
        columns,
        ..request.clone()
    })
}

/// The whole dataset, every column in clear.
pub(crate) fn whole(
    facts: &CollectionFacts,
    purpose: Purpose,
    people: People,
    places: Places,
    window: Window,
) -> Result<Scope, InvalidScope> {
    let columns = facts
        .columns
        .iter()
        .map(|column| (column.name.clone(), Transform::Clear));
    Ok(Scope {
        dataset: facts.reference.clone(),
        tier: Tier::Records,
        columns: Columns::new(columns)?,
        rows: Rows::all(),
        purposes: Purposes::new([purpose])?,
        people,
        places,
        limits: Limits::WIDEST,
        window,
    })
}
