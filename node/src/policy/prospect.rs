//! What a member can hope for before it asks: the catalogue shows that much and no more.

use std::collections::BTreeSet;

use concordat_protocol::{
    ids::ColumnName,
    scope::{
        Columns, Generalisation, InvalidScope, Limits, People, Places, Purpose, Purposes, Rows, Scope, Tier, Transform,
        Window,
    },
    time::Timestamp,
};

use super::{DatasetFacts, OfferDecision, OfferInput, Party, Policy};

/// The purposes that are tried. What is shown for a single disease only is found by asking for that disease.
const PURPOSES: [Purpose; 5] = [
    Purpose::HealthResearch,
    Purpose::GeneralResearch,
    Purpose::MethodsDevelopment,
    Purpose::Ancestry,
    Purpose::ClinicalCare,
];
/// Any time to come will do.
const A_DAY_MS: i64 = 86_400_000;

/// The most that one request or another could get of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// The highest tier.
    pub tier: Tier,
    /// The columns that are shown at all, be it in clear or changed.
    pub columns: BTreeSet<ColumnName>,
}

impl Policy {
    /// What `consumer` can hope for of a dataset, for whatever purpose; nothing if it may not know that there is one.
    pub fn prospect(
        &self,
        consumer: &Party,
        provider: &Party,
        facts: &DatasetFacts,
        now: Timestamp,
    ) -> Option<Prospect> {
        let mut prospect = Prospect {
            tier: Tier::Exists,
            columns: BTreeSet::new(),
        };
        for purpose in PURPOSES {
            let window = Window::new(now, now.plus_millis(A_DAY_MS)).ok()?;
            let request = whole(facts, purpose, People::Any, Places::Any, window).ok()?;
            for request in [ageless(&request, facts)?, request] {
                let asked = OfferInput {
                    consumer,
                    provider,
                    dataset: Some(facts),
                    request: &request,
                };
                match self.offer(&asked, now) {
                    OfferDecision::Offer(offer) => {
                        prospect.tier = prospect.tier.max(offer.scope.tier);
                        prospect.columns.extend(offer.scope.columns.names().cloned());
                    }
                    OfferDecision::Refused(refusal) if refusal.hides_the_dataset() => return None,
                    OfferDecision::Refused(_) => {}
                }
            }
        }
        Some(prospect)
    }
}

/// The same request without ages, beside which years of birth are not shown.
fn ageless(request: &Scope, facts: &DatasetFacts) -> Option<Scope> {
    let is_age = |name: &ColumnName| {
        let known = facts.column(name).and_then(|column| column.generalisation);
        matches!(known, Some(Generalisation::AgeBand(_)))
    };
    let columns = request.columns.iter().filter(|(name, _)| !is_age(name));
    let columns = Columns::new(columns.map(|(name, transform)| (name.clone(), transform))).ok()?;
    Some(Scope {
        columns,
        ..request.clone()
    })
}

/// All of a dataset, every column in clear.
pub(super) fn whole(
    facts: &DatasetFacts,
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
