//! One request to the rules, built from facts only.
//!
//! There are three constructors, which decide first what no set may allow ([`crate::prohibited`]). Offers, grants, queries of peers, local
//! queries, cases and comparisons have no other way to ask.

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleReason};
use concordat_protocol::policy_set::Reveal;
use concordat_protocol::scope::{Purpose, Tier, column_label};

use crate::entities::{self, EntityValue, Expr, Pair, column, dataset, institution, pair};
use crate::facts::{self, CollectionFacts, ColumnFacts, DatasetFacts, Parties};
use crate::prohibited;

/// A person of the consumer.
pub(crate) struct Requester {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

/// A column about which the rules decide, with its dataset and its collection.
#[derive(Clone, Copy)]
pub(crate) struct RequestedColumn<'a> {
    pub(crate) column: &'a ColumnFacts,
    pub(crate) dataset: &'a DatasetFacts,
    pub(crate) collection: &'a CollectionFacts,
}

impl RequestedColumn<'_> {
    /// The column as texts name it.
    fn label(self) -> String {
        column_label(&self.collection.reference, &self.dataset.name, &self.column.name)
    }
}

/// May the principal perform the action on the resource?
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct AuthorizationRequest {
    pub(crate) principal: EntityValue,
    pub(crate) action: &'static str,
    pub(crate) resource: EntityValue,
    /// Entities that principal and resource refer to.
    pub(crate) others: Vec<EntityValue>,
    pub(crate) context: Vec<Pair>,
    /// What the request is about, in explanations.
    about: String,
    /// Why no set may allow it.
    pub(crate) prohibited: Option<RuleReason>,
    /// Whether it states ages, which are others at each moment.
    pub(crate) states_ages: bool,
}

impl AuthorizationRequest {
    /// May the consumer do this with a collection of the holder?
    pub(crate) fn for_dataset(
        parties: Parties<'_>,
        action: &'static str,
        facts: &CollectionFacts,
        context: Vec<Pair>,
        about: String,
    ) -> Self {
        Self {
            principal: institution(parties),
            action,
            resource: dataset(facts, parties.holder),
            others: Vec::new(),
            context,
            about,
            prohibited: prohibited::to_institution(parties.consumer, parties.holder),
            states_ages: false,
        }
    }

    /// May the consumer get this column in this form, at this tier and for this purpose?
    pub(crate) fn for_column(
        parties: Parties<'_>,
        reveal: Reveal,
        requested: RequestedColumn<'_>,
        tier: Tier,
        purpose: &Purpose,
    ) -> Self {
        let mut context = entities::purpose(purpose);
        context.push(pair("tier", Expr::Entity("Tier", tier.to_string())));
        let to_institution = prohibited::to_institution(parties.consumer, parties.holder);
        Self {
            principal: institution(parties),
            action: facts::reveal_action(reveal),
            resource: column(requested.column, requested.dataset, requested.collection),
            others: vec![dataset(requested.collection, parties.holder)],
            context,
            about: requested.label(),
            prohibited: to_institution.or_else(|| prohibited::of_column(requested.column, reveal)),
            states_ages: false,
        }
    }

    /// May this person of the consumer query a collection of the holder?
    pub(crate) fn for_query(
        parties: Parties<'_>,
        requester: Requester,
        facts: &CollectionFacts,
        context: Vec<Pair>,
    ) -> Self {
        let Requester { id, name, roles } = requester;
        let of = Expr::Entity("Institution", parties.consumer.institution.to_string());
        let attributes = vec![
            pair("name", Expr::Text(name)),
            pair("institution", of),
            pair("roles", Expr::Entities("Role", roles)),
        ];
        Self {
            principal: EntityValue("Person", id.clone(), attributes),
            action: "query",
            resource: dataset(facts, parties.holder),
            others: vec![institution(parties)],
            context,
            about: id,
            prohibited: prohibited::to_institution(parties.consumer, parties.holder),
            states_ages: true,
        }
    }

    /// The same request about any column of this class and kind, for rules that see no names of columns; `None` if it is not about a column.
    /// What no set may allow is left out: the rules do not see it.
    pub(crate) fn without_names(&self) -> Option<Self> {
        let EntityValue(kind, _, attributes) = &self.resource;
        if *kind != "Column" {
            return None;
        }
        let attributes = attributes.iter().map(|(attribute, value)| match attribute.as_str() {
            "name" | "table" => pair(attribute, entities::text("")),
            _ => (attribute.clone(), value.clone()),
        });
        Some(Self {
            principal: self.principal.clone(),
            action: self.action,
            resource: EntityValue(kind, "any".to_owned(), attributes.collect()),
            others: self.others.clone(),
            context: self.context.clone(),
            about: String::new(),
            prohibited: None,
            states_ages: self.states_ages,
        })
    }

    /// What the request is about, in explanations.
    pub(crate) fn about(&self) -> &str {
        &self.about
    }

    /// Whether no set may allow it.
    pub(crate) const fn is_prohibited(&self) -> bool {
        self.prohibited.is_some()
    }

    /// The step of the decision in explanations.
    pub(crate) fn step(&self, allowed: bool, rules: Vec<DecisionRule>) -> DecisionStep {
        DecisionStep {
            action: self.action.to_owned(),
            about: self.about.clone(),
            allowed,
            rules,
        }
    }
}
