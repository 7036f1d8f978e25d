//! The requests that represent all that are possible: representative members and columns of every class, the real members of the
//! roster and datasets of the catalog, and the values that the rules name.
//!
//! It is a sample. A rule can depend on something that is not in it, for example on a combination of times. What no set may allow
//! therefore does not depend on it ([`crate::prohibited`]).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use concordat_protocol::membership::MemberStatus;
use concordat_protocol::policy_set::Sampled;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::text::Course;
use concordat_protocol::{
    ids::{ActorId, CollectionName, CollectionRef, ColumnName, DatasetName, InstitutionId, Jurisdiction, SegmentName},
    schema::{ColumnClass, ColumnKind},
};

use crate::facts::{self, CollectionFacts, ColumnFacts, DatasetFacts, Party};
use crate::load::Policy;
use crate::named::NamedValues;

/// Most values of one sort that are added because rules name them: each multiplies the number of requests.
const MAX_NAMED: usize = 8;
/// The purposes that are tried. One disease represents all others that no rule names.
const PURPOSES: [&str; 6] = [
    "general-research",
    "health-research",
    "disease:MONDO:0005267",
    "methods-development",
    "ancestry",
    "clinical-care",
];
/// The name of the collection that represents all others, and of its dataset.
const ANY: &str = "any_dataset";
/// The kinds of columns that are tried; the others only if a rule names them.
const KINDS: [ColumnKind; 3] = [ColumnKind::Text, ColumnKind::Int, ColumnKind::Date];

/// The members and collections from which the authorization requests are built.
#[derive(Clone, Debug)]
pub struct RequestSpace {
    /// The holder.
    pub holder: Party,
    /// The requesting members.
    pub members: Vec<Party>,
    /// Collections.
    pub collections: Vec<CollectionFacts>,
    /// Set when the result is not needed any more.
    pub(crate) canceled: Arc<AtomicBool>,
}

impl RequestSpace {
    /// Creates the space with members of each status and a collection with a column of each class and kind.
    pub fn new(holder: Party) -> Self {
        let member = |id: &str, place: Option<&str>, status| {
            let jurisdiction = place.and_then(|place| Jurisdiction::new(place).ok());
            let institution = InstitutionId::new(id).ok()?;
            Some(Party {
                institution,
                jurisdiction: jurisdiction.unwrap_or_else(|| holder.jurisdiction.clone()),
                status,
            })
        };
        let members = [
            member("any-member", None, Some(MemberStatus::Active)),
            member("any-member-abroad", Some("AQ"), Some(MemberStatus::Active)),
            member("any-suspended", None, Some(MemberStatus::Suspended)),
            member("any-removed", None, Some(MemberStatus::Removed)),
            member("any-unknown", None, None),
        ];
        let members: Vec<Party> = members.into_iter().flatten().collect();
        let collections = every_class(&holder).into_iter().collect();
        Self {
            holder,
            members,
            collections,
            canceled: Arc::default(),
        }
    }

    /// Adds the real members and collections.
    #[must_use]
    pub fn with(mut self, members: Vec<Party>, collections: Vec<CollectionFacts>) -> Self {
        let others = members
            .into_iter()
            .filter(|member| member.institution != self.holder.institution);
        self.members.extend(others);
        self.collections.extend(collections);
        self
    }

    /// Ends an evaluation over the space early when `canceled` is set; its result is incomplete then.
    #[must_use]
    pub fn until(mut self, canceled: Arc<AtomicBool>) -> Self {
        self.canceled = canceled;
        self
    }
}

fn every_class(holder: &Party) -> Option<CollectionFacts> {
    Some(CollectionFacts {
        reference: CollectionRef {
            institution: holder.institution.clone(),
            collection: ANY.parse().ok()?,
        },
        segment: SegmentName::new("main").ok()?,
        published: true,
        datasets: vec![DatasetFacts {
            name: ANY.parse().ok()?,
            columns: columns_of(&KINDS),
        }],
        // As open as a steward can set it, because the matrix shows what the rules allow.
        release: ReleaseRules {
            sensitive: Some(Tier::Records),
            ..ReleaseRules::default()
        },
    })
}

fn classes() -> impl Iterator<Item = Option<ColumnClass>> {
    ColumnClass::ALL.into_iter().map(Some).chain([None])
}

/// A column of each class and of each of these kinds.
fn columns_of(kinds: &[ColumnKind]) -> Vec<ColumnFacts> {
    let pairs = classes().flat_map(|class| kinds.iter().map(move |kind| (class, *kind)));
    pairs
        .filter_map(|(class, kind)| {
            let class_name = class.map_or("unclassified", ColumnClass::as_str);
            let name = format!("{}_{}", class_name.replace('-', "_"), facts::kind_name(kind));
            Some(ColumnFacts::new(ColumnName::new(&name).ok()?, class, kind))
        })
        .collect()
}

impl Policy {
    /// The courses that the rules name: no other counts by a rule of the set.
    #[must_use]
    pub fn named_trainings(&self) -> BTreeSet<Course> {
        NamedValues::of(&[self]).trainings
    }
}

/// What the sample for one set contains.
pub fn sampled(policy: &Policy, space: &RequestSpace) -> Sampled {
    Sample::new(space, &[policy]).contents
}

/// A space with the values that rules name.
pub(crate) struct Sample {
    pub(crate) holder: Party,
    /// Those that rules name first, the holder last.
    pub(crate) consumers: Vec<Party>,
    pub(crate) collections: Vec<CollectionFacts>,
    pub(crate) purposes: Vec<Purpose>,
    /// The purposes of queries.
    pub(crate) query_purposes: Vec<Purpose>,
    /// Places in addition to those of the two parties.
    pub(crate) places: Vec<Jurisdiction>,
    pub(crate) people: Vec<ActorId>,
    /// The courses that rules name.
    pub(crate) trainings: Vec<Course>,
    pub(crate) contents: Sampled,
    canceled: Arc<AtomicBool>,
}

impl Sample {
    /// Whether the result of an evaluation is not needed any more.
    pub(crate) fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }

    /// The sample in which the sets are compared.
    pub(crate) fn new(space: &RequestSpace, policies: &[&Policy]) -> Self {
        let mut named = NamedValues::of(policies);
        let is_known = |name: &CollectionName| {
            space
                .collections
                .iter()
                .any(|known| known.reference.collection == *name)
        };
        named.collections.retain(|name| !is_known(name));
        let mut contents = Sampled::default();
        let places = take(&mut contents, named.jurisdictions);
        let institutions = take(&mut contents, named.institutions);
        let consumers = consumers(space, &institutions, &places);
        let columns = take(&mut contents, named.columns);
        let kinds: Vec<ColumnKind> = named.kinds.into_iter().filter(|kind| !KINDS.contains(kind)).collect();
        let names = take(&mut contents, named.collections);
        let tables = take(&mut contents, named.tables);
        let segments = take(&mut contents, named.segments);
        let mut collections = space.collections.clone();
        if let Some(any) = collections.first_mut() {
            extend(any, &columns, &kinds, tables);
            let variants = variants(any, names, segments);
            collections.extend(variants);
        }
        let diseases = take(&mut contents, named.diseases);
        let people = take(&mut contents, named.people);
        let trainings = take(&mut contents, named.trainings);
        let general = PURPOSES.iter().filter_map(|purpose| purpose.parse().ok());
        let purposes: Vec<Purpose> = diseases.iter().cloned().chain(general).collect();
        contents.institutions = consumers.len();
        contents.datasets = collections.iter().map(|collection| collection.datasets.len()).sum();
        contents.columns = collections.iter().map(|collection| collection.columns().count()).sum();
        contents.purposes = purposes.iter().map(ToString::to_string).collect();
        Self {
            holder: space.holder.clone(),
            consumers,
            collections,
            purposes,
            query_purposes: [Purpose::HealthResearch].into_iter().chain(diseases).collect(),
            places,
            people,
            trainings,
            contents,
            canceled: Arc::clone(&space.canceled),
        }
    }
}

/// Notes the values that are added to the sample, as many as are allowed; the rest is counted.
fn take<T: Display>(contents: &mut Sampled, values: BTreeSet<T>) -> Vec<T> {
    contents.left_out = contents.left_out.saturating_add(values.len().saturating_sub(MAX_NAMED));
    let taken: Vec<T> = values.into_iter().take(MAX_NAMED).collect();
    contents.named.extend(taken.iter().map(ToString::to_string));
    taken
}

/// The institutions that rules name, as members in the holder's jurisdiction and in each that rules name; members in these
/// jurisdictions; the members of the space; the holder, for its own people.
fn consumers(space: &RequestSpace, institutions: &[InstitutionId], places: &[Jurisdiction]) -> Vec<Party> {
    let active = |institution: &InstitutionId, jurisdiction: &Jurisdiction| Party {
        institution: institution.clone(),
        jurisdiction: jurisdiction.clone(),
        status: Some(MemberStatus::Active),
    };
    let is_known = |institution: &InstitutionId| {
        *institution == space.holder.institution
            || space.members.iter().any(|member| member.institution == *institution)
    };
    let mut consumers = Vec::new();
    for institution in institutions.iter().filter(|institution| !is_known(institution)) {
        consumers.push(active(institution, &space.holder.jurisdiction));
        let elsewhere = places.iter().filter(|place| **place != space.holder.jurisdiction);
        consumers.extend(elsewhere.map(|place| active(institution, place)));
    }
    for place in places {
        let id = format!("any-member-{}", place.as_str().to_ascii_lowercase());
        consumers.extend(InstitutionId::new(&id).ok().map(|id| active(&id, place)));
    }
    consumers.extend(space.members.iter().cloned());
    consumers.push(space.holder.clone());
    consumers
}

/// The columns that rules name, of each class and kind.
fn columns_named(names: &[ColumnName], kinds: &[ColumnKind]) -> Vec<ColumnFacts> {
    let kinds = || KINDS.iter().chain(kinds);
    let mut columns = Vec::new();
    for name in names {
        for class in classes() {
            columns.extend(kinds().map(|kind| ColumnFacts::new(name.clone(), class, *kind)));
        }
    }
    columns
}

/// Adds the columns that rules name to the dataset of a collection of one, and the datasets that they name, with the same columns.
fn extend(any: &mut CollectionFacts, columns: &[ColumnName], kinds: &[ColumnKind], tables: Vec<DatasetName>) {
    let Some(first) = any.datasets.first_mut() else { return };
    first.columns.splice(0..0, columns_named(columns, kinds));
    first.columns.extend(columns_of(kinds));
    let first = first.clone();
    let others = tables.into_iter().filter(|name| *name != first.name);
    let others = others.map(|name| DatasetFacts {
        name,
        columns: first.columns.clone(),
    });
    any.datasets.extend(others);
}

/// The same collection under each of these names, and in each of these segments. A dataset with the name of its collection has the new
/// name too.
fn variants(any: &CollectionFacts, names: Vec<CollectionName>, segments: Vec<SegmentName>) -> Vec<CollectionFacts> {
    let named = names.into_iter().map(|collection| renamed(any, collection));
    let in_segments = segments.into_iter().filter_map(|segment| {
        let name = format!("any_dataset_in_{}", segment.as_str().replace('-', "_"));
        Some(CollectionFacts {
            segment,
            ..renamed(any, name.parse().ok()?)
        })
    });
    named.chain(in_segments).collect()
}

fn renamed(any: &CollectionFacts, collection: CollectionName) -> CollectionFacts {
    let mut facts = any.clone();
    for dataset in &mut facts.datasets {
        if any.reference.collection.is_name_of(&dataset.name) {
            dataset.name = DatasetName::from(&collection);
        }
    }
    facts.reference.collection = collection;
    facts
}
