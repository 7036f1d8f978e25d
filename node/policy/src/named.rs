//! The values that the rules of a policy set name: what a comparison has to try, because a rule may depend on it.
//!
//! A text counts if a rule compares it with an attribute (`context.disease == "MONDO:0000408"`, `["age"].contains(resource.name)`,
//! `principal.name like "zur*"`), and an entity wherever a rule names it. Texts in the form of a disease code or of a person's name
//! count anywhere.

use std::collections::BTreeSet;

use concordat_protocol::ids::{
    ActorId, CollectionName, CollectionRef, ColumnName, DatasetName, DatasetRef, InstitutionId, Jurisdiction,
    SegmentName,
};
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::Purpose;
use concordat_protocol::text::Course;
use serde_json::Value;

use crate::facts;
use crate::load::Policy;

/// The operators that compare an attribute with a text, as in Cedar's JSON format.
const COMPARISONS: [&str; 7] = ["==", "!=", "in", "contains", "containsAll", "containsAny", "like"];
/// All kinds of columns.
const KINDS: [ColumnKind; 6] = [
    ColumnKind::Boolean,
    ColumnKind::Int,
    ColumnKind::Float,
    ColumnKind::Date,
    ColumnKind::Timestamp,
    ColumnKind::Text,
];

/// The named values by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedValues {
    pub(crate) diseases: BTreeSet<Purpose>,
    pub(crate) institutions: BTreeSet<InstitutionId>,
    pub(crate) jurisdictions: BTreeSet<Jurisdiction>,
    pub(crate) collections: BTreeSet<CollectionName>,
    /// The datasets of a collection, which rules name tables.
    pub(crate) tables: BTreeSet<DatasetName>,
    pub(crate) segments: BTreeSet<SegmentName>,
    pub(crate) columns: BTreeSet<ColumnName>,
    pub(crate) people: BTreeSet<ActorId>,
    pub(crate) trainings: BTreeSet<Course>,
    pub(crate) kinds: Vec<ColumnKind>,
}

impl NamedValues {
    /// The values that any rule of these sets names.
    pub(crate) fn of(policies: &[&Policy]) -> Self {
        let mut found = Self::default();
        for rule in policies.iter().flat_map(|policy| &policy.0.rules) {
            for entity in rule.policy.entity_literals() {
                found.add_entity(&entity.type_name().to_string(), entity.id().unescaped());
            }
            // Every policy that was parsed from text has this form; one without it would add nothing.
            let rule = rule.policy.to_json().unwrap_or_default();
            let about = rule.get("resource").and_then(|resource| resource.get("entity_type"));
            found.visit(&rule, about.and_then(Value::as_str));
        }
        found
    }

    /// Adds what an expression names, in a rule about resources of the type `about`, if it is restricted to one.
    fn visit(&mut self, expression: &Value, about: Option<&str>) {
        match expression {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item, about)),
            Value::Object(fields) => {
                for (operator, operands) in fields {
                    if COMPARISONS.contains(&operator.as_str()) {
                        let mut compared = Compared::default();
                        compared.collect(operands);
                        self.add(&compared, about);
                    }
                    self.visit(operands, about);
                }
            }
            Value::String(text) => self.add_anywhere(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, Compared { attributes, texts }: &Compared, about: Option<&str>) {
        for attribute in attributes {
            for text in texts {
                self.add_text(attribute, text, about);
            }
        }
    }

    fn add_anywhere(&mut self, text: &str) {
        self.diseases.extend(format!("disease:{text}").parse::<Purpose>());
        if let Ok(person) = text.parse::<ActorId>() {
            let institution = person.as_str().split_once('@').map(|(_, institution)| institution);
            self.institutions
                .extend(institution.and_then(|institution| institution.parse().ok()));
            self.people.insert(person);
        }
    }

    /// Adds a text with which the attribute is compared.
    fn add_text(&mut self, attribute: &str, text: &str, about: Option<&str>) {
        match attribute.rsplit_once('.') {
            Some((_, "jurisdiction" | "place")) => self.jurisdictions.extend(text.parse::<Jurisdiction>()),
            Some(("context", "training")) => self.trainings.extend(text.parse::<Course>()),
            Some((_, "table")) => self.tables.extend(text.parse::<DatasetName>()),
            Some((_, "segment")) => self.segments.extend(text.parse::<SegmentName>()),
            Some(("principal" | "principal.institution", "name")) => {
                self.institutions.extend(text.parse::<InstitutionId>());
            }
            Some(("resource.dataset", "name")) => self.collections.extend(text.parse::<CollectionName>()),
            Some((_, "name")) => {
                if about != Some("Dataset") {
                    self.columns.extend(text.parse::<ColumnName>());
                }
                if about != Some("Column") {
                    self.collections.extend(text.parse::<CollectionName>());
                }
            }
            Some(_) | None => {}
        }
    }

    /// Adds the dataset of a column.
    fn add_dataset(&mut self, reference: &str) {
        if let Ok(dataset) = reference.parse::<DatasetRef>() {
            if !dataset.is_only() {
                self.tables.insert(dataset.dataset);
            }
            self.collections.insert(dataset.collection);
        }
    }

    fn add_entity(&mut self, kind: &str, id: &str) {
        match kind {
            "Institution" => self.institutions.extend(id.parse::<InstitutionId>()),
            "Person" => self.add_anywhere(id),
            "Dataset" => self
                .collections
                .extend(id.parse::<CollectionRef>().map(|reference| reference.collection)),
            "Column" => {
                if let Some((reference, column)) = id.rsplit_once('.') {
                    self.add_dataset(reference);
                    self.columns.extend(column.parse::<ColumnName>());
                }
            }
            "Kind" => {
                let named = KINDS.into_iter().find(|kind| facts::kind_name(*kind) == id);
                self.kinds.extend(named.filter(|named| !self.kinds.contains(named)));
            }
            _ => {}
        }
    }
}

/// The operands of one comparison: paths of attributes (`resource.dataset.name`), and texts.
#[derive(Default)]
struct Compared {
    attributes: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Compared {
    fn collect(&mut self, operand: &Value) {
        match operand {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(fields) => {
                for (operator, operands) in fields {
                    match operator.as_str() {
                        "." => self.attributes.extend(path(operands)),
                        "Value" => self.collect_texts(operands),
                        "pattern" => {
                            self.texts.insert(without_wildcards(operands));
                        }
                        _ => self.collect(operands),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn collect_texts(&mut self, literal: &Value) {
        if let Value::String(text) = literal {
            self.texts.insert(text.clone());
        }
        let items = literal.as_array().into_iter().flatten();
        items.for_each(|item| self.collect_texts(item));
    }
}

/// The path of an attribute from the variable on.
fn path(access: &Value) -> Option<String> {
    let attribute = access.get("attr")?.as_str()?;
    let of = access.get("left")?;
    let before = match (of.get("Var"), of.get(".")) {
        (Some(variable), _) => variable.as_str()?.to_owned(),
        (None, Some(outer)) => path(outer)?,
        (None, None) => String::new(),
    };
    Some(format!("{before}.{attribute}"))
}

/// One text that matches the pattern.
fn without_wildcards(pattern: &Value) -> String {
    let elements = pattern.as_array().into_iter().flatten();
    elements
        .filter_map(|element| element.get("Literal").and_then(Value::as_str))
        .collect()
}
