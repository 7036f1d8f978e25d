//! Facts as values of Cedar: entities, their attributes, and the context of a request.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    str::FromStr,
};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value};

use concordat_protocol::{
    membership::MemberStatus,
    schema::ColumnClass,
    scope::{Purpose, Tier, column_label},
};

use crate::facts::{self, CollectionFacts, ColumnFacts, DatasetFacts, Parties, Party};

/// The name and the value of a record attribute.
pub(crate) type Pair = (String, Expr);

/// A value from which a Cedar expression is built. Building it may fail, because Cedar parses the names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Expr {
    Text(String),
    Bool(bool),
    Long(i64),
    /// An entity by type and id; enum values are entities too.
    Entity(&'static str, String),
    Entities(&'static str, Vec<String>),
}

/// An entity: type, id, attributes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntityValue(pub(crate) &'static str, pub(crate) String, pub(crate) Vec<Pair>);

impl EntityValue {
    pub(crate) fn uid(&self) -> Result<EntityUid, Box<dyn Error>> {
        uid(self.0, &self.1)
    }

    pub(crate) fn entity(&self) -> Result<Entity, Box<dyn Error>> {
        let attributes: HashMap<String, Value> = pairs(&self.2)?.into_iter().collect();
        Ok(Entity::new(self.uid()?, attributes, HashSet::new())?)
    }
}

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid, Box<dyn Error>> {
    Ok(EntityUid::from_type_name_and_id(
        EntityTypeName::from_str(kind)?,
        EntityId::new(id),
    ))
}

pub(crate) fn pairs(pairs: &[Pair]) -> Result<Vec<(String, Value)>, Box<dyn Error>> {
    pairs
        .iter()
        .map(|(name, expr)| Ok((name.clone(), expr.value()?)))
        .collect()
}

impl Expr {
    fn value(&self) -> Result<Value, Box<dyn Error>> {
        let entity = |kind: &str, id: &str| Ok::<_, Box<dyn Error>>(Value::new_entity_uid(uid(kind, id)?));
        Ok(match self {
            Self::Text(text) => Value::new_string(text.clone()),
            Self::Bool(truth) => Value::new_bool(*truth),
            Self::Long(number) => Value::new_long(*number),
            Self::Entity(kind, id) => entity(kind, id)?,
            Self::Entities(kind, ids) => {
                Value::new_set(ids.iter().map(|id| entity(kind, id)).collect::<Result<Vec<_>, _>>()?)
            }
        })
    }
}

/// One attribute of a record.
pub(crate) fn pair(name: &str, expr: Expr) -> Pair {
    (name.to_owned(), expr)
}

/// A string in a record.
#[expect(clippy::needless_pass_by_value, reason = "callers pass values created for this call")]
pub(crate) fn text(value: impl ToString) -> Expr {
    Expr::Text(value.to_string())
}

/// The consumer as the principal of a request to the holder.
pub(crate) fn institution(Parties { consumer, holder }: Parties<'_>) -> EntityValue {
    let status = consumer.status.map_or("unknown", MemberStatus::as_str);
    let attributes = vec![
        pair("name", text(&consumer.institution)),
        pair("jurisdiction", text(&consumer.jurisdiction)),
        pair("status", Expr::Entity("Status", status.to_owned())),
        pair("own", Expr::Bool(consumer.institution == holder.institution)),
    ];
    EntityValue("Institution", consumer.institution.to_string(), attributes)
}

/// A collection of `holder`: policies name it a dataset.
pub(crate) fn dataset(facts: &CollectionFacts, holder: &Party) -> EntityValue {
    let attributes = vec![
        pair("name", text(&facts.reference.collection)),
        pair("segment", text(&facts.segment)),
        pair("jurisdiction", text(&holder.jurisdiction)),
        pair("published", Expr::Bool(facts.published)),
        pair("sensitive", Expr::Entities("Tier", sensitive_tiers(facts))),
    ];
    EntityValue("Dataset", facts.reference.to_string(), attributes)
}

/// The tiers at which the steward releases sensitive columns.
fn sensitive_tiers(facts: &CollectionFacts) -> Vec<String> {
    let tiers = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records].into_iter();
    let allowed = tiers.filter(|tier| facts.release.sensitive.is_some_and(|highest| *tier <= highest));
    allowed.map(|tier| tier.to_string()).collect()
}

/// A column of a dataset of a collection.
pub(crate) fn column(column: &ColumnFacts, dataset: &DatasetFacts, facts: &CollectionFacts) -> EntityValue {
    let class = column.class.map_or("unclassified", ColumnClass::as_str);
    let attributes = vec![
        pair("name", text(&column.name)),
        pair("class", Expr::Entity("Class", class.to_owned())),
        pair("kind", Expr::Entity("Kind", facts::kind_name(column.kind).to_owned())),
        pair("table", text(&dataset.name)),
        pair("dataset", Expr::Entity("Dataset", facts.reference.to_string())),
    ];
    let label = column_label(&facts.reference, &dataset.name, &column.name);
    EntityValue("Column", format!("{}.{label}", facts.reference), attributes)
}

/// The purpose in the terms of the policies, with its disease if there is one.
pub(crate) fn purpose(purpose: &Purpose) -> Vec<Pair> {
    let named = purpose.to_string();
    let (name, disease) = named
        .split_once(':')
        .map_or((named.as_str(), None), |(name, code)| (name, Some(code)));
    let mut context = vec![pair("purpose", Expr::Entity("Purpose", name.to_owned()))];
    context.extend(disease.map(|code| pair("disease", text(code))));
    context
}
