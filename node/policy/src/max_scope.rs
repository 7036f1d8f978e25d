//! The maximum scope that any request of a member could get: the catalog shows exactly that.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    ids::{ColumnName, DatasetName},
    scope::{
        Columns, DatasetScope, Datasets, Generalization, InvalidScope, Limits, People, Places, Protection,
        ProtectionName, Purpose, Purposes, Rows, Scope, Subjects, Tier, Transform, Window,
    },
    time::Timestamp,
};

use crate::facts::{CollectionFacts, DatasetFacts, Party};
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

/// The maximum that any request could get of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxScope {
    /// The highest tier.
    pub tier: Tier,
    /// The protections that figures can have; `exact` if only records can be obtained.
    pub protections: BTreeSet<ProtectionName>,
    /// The columns that are shown of each dataset, in clear or transformed.
    pub datasets: BTreeMap<DatasetName, BTreeSet<ColumnName>>,
}

impl Policy {
    /// The maximum scope of a collection for `consumer`, over all purposes; `None` if the collection is hidden from it. It is worked out from ten
    /// requests for all columns; what was worked out before is known ([`Self::max_scope`]).
    pub(crate) fn work_out_max_scope(
        &self,
        consumer: &Party,
        provider: &Party,
        facts: &CollectionFacts,
        now: Timestamp,
    ) -> Option<MaxScope> {
        let mut max_scope = MaxScope {
            tier: Tier::Exists,
            protections: BTreeSet::new(),
            datasets: BTreeMap::new(),
        };
        let mut figures = BTreeSet::new();
        for purpose in PURPOSES {
            let window = Window::new(now, now.plus_millis(DAY_MS)).ok()?;
            let request = whole(facts, purpose, People::Any, Places::Any, window).ok()?;
            let input = OfferInput {
                consumer,
                provider,
                collection: Some(facts),
                request: &request,
                // What it has under other grants does not count: it can give them up.
                held: &[],
            };
            figures.extend(self.protections(&input));
            for request in [ageless(&request, facts)?, request] {
                let input = OfferInput {
                    consumer,
                    provider,
                    collection: Some(facts),
                    request: &request,
                    held: &[],
                };
                match self.offer_unexplained(&input, now) {
                    OfferDecision::Offer(offer) => {
                        max_scope.add(&offer.scope);
                    }
                    OfferDecision::Refused(refusal) if refusal.hides_the_dataset() => return None,
                    OfferDecision::Refused(_) => {}
                }
            }
        }
        if !figures.is_empty() {
            max_scope.protections = figures;
        }
        Some(max_scope)
    }

    /// The protections that figures can have for the purpose of a request.
    fn protections(&self, input: &OfferInput<'_>) -> Vec<ProtectionName> {
        let offered = |protection| {
            let request = Scope {
                tier: Tier::Count,
                protection,
                ..input.request.clone()
            };
            self.protection_of_figures(&OfferInput {
                request: &request,
                ..*input
            })
        };
        let all = ProtectionName::ALL.map(ProtectionName::widest);
        all.into_iter().filter_map(offered).collect()
    }
}

impl MaxScope {
    fn add(&mut self, offered: &Scope) {
        self.tier = self.tier.max(offered.tier);
        self.protections.insert(offered.protection.name());
        for (name, dataset) in offered.datasets.iter() {
            let columns = self.datasets.entry(name.clone()).or_default();
            columns.extend(dataset.columns.names().cloned());
        }
    }
}

/// The same request without ages, because years of birth are not shown together with ages.
fn ageless(request: &Scope, facts: &CollectionFacts) -> Option<Scope> {
    let is_age = |dataset: &DatasetName, name: &ColumnName| {
        let known = facts.column(dataset, name).and_then(|column| column.generalization);
        matches!(known, Some(Generalization::AgeBand(_)))
    };
    let ageless = |(name, dataset): (&DatasetName, &DatasetScope)| {
        let columns = dataset.columns.iter().filter(|(column, _)| !is_age(name, column));
        let columns = columns.map(|(column, transform)| (column.clone(), transform));
        let scope = DatasetScope {
            columns: Columns::new(columns)?,
            rows: dataset.rows.clone(),
        };
        Ok((name.clone(), scope))
    };
    let datasets: Result<Vec<_>, InvalidScope> = request.datasets.iter().map(ageless).collect();
    Some(Scope {
        datasets: Datasets::new(datasets.ok()?).ok()?,
        ..request.clone()
    })
}

/// The whole collection, every column in clear.
pub(crate) fn whole(
    facts: &CollectionFacts,
    purpose: Purpose,
    people: People,
    places: Places,
    window: Window,
) -> Result<Scope, InvalidScope> {
    let whole = |dataset: &DatasetFacts| {
        let columns = dataset
            .columns
            .iter()
            .map(|column| (column.name.clone(), Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns)?,
            rows: Rows::all(),
        };
        Ok((dataset.name.clone(), scope))
    };
    let datasets: Result<Vec<_>, InvalidScope> = facts.datasets.iter().map(whole).collect();
    Ok(Scope {
        collection: facts.reference.clone(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::new(datasets?)?,
        purposes: Purposes::new([purpose])?,
        people,
        places,
        limits: Limits::WIDEST,
        window,
    })
}
