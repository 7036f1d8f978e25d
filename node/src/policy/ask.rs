//! One question to Cedar.
//!
//! Questions are built against the schema; one that does not fit it is a fault of ours and is answered with no. So is one
//! during which any policy could not be evaluated: a rule that forbids might be the one that failed.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    str::FromStr,
};

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, Response, RestrictedExpression as Value,
};

use concordat_protocol::{
    membership::MemberStatus,
    schema::ColumnClass,
    scope::{Purpose, Tier},
};

use super::{
    ColumnFacts, DatasetFacts, Effect, Party, Policy, Reason, Rule, Step, facts,
    load::{Loaded, Named},
};

/// A name and a value of a record.
pub(super) type Pair = (String, Expr);

/// A value that can be built only by asking Cedar to parse a name, which may fail.
pub(super) enum Expr {
    Text(String),
    Bool(bool),
    Long(i64),
    /// An entity by type and id; closed words are entities too.
    Word(&'static str, String),
    Words(&'static str, Vec<String>),
}

/// An entity: type, id, attributes.
pub(super) struct Thing(&'static str, String, Vec<Pair>);

/// A question: may the principal do the action with the resource?
pub(super) struct Question {
    pub(super) principal: Thing,
    pub(super) action: &'static str,
    pub(super) resource: Thing,
    /// Entities that principal and resource refer to.
    pub(super) others: Vec<Thing>,
    pub(super) context: Vec<Pair>,
    /// What the question is about, for people.
    pub(super) about: String,
}

/// The answer, with the rules that decided it.
pub(super) struct Verdict {
    pub(super) allowed: bool,
    /// The permits that took effect; for a no the rules that forbid, then, if nothing permits, the permits that would.
    pub(super) reasons: Vec<Reason>,
    pub(super) step: Step,
}

impl Policy {
    /// Puts one question.
    pub(super) fn ask(&self, question: &Question) -> Verdict {
        let loaded = &*self.0;
        match loaded.respond(question) {
            Ok(answers) => loaded.verdict(question, &answers),
            Err(error) => {
                tracing::error!(action = question.action, %error, "a question does not fit the policy schema");
                fault(question, "the question does not fit the policy schema")
            }
        }
    }
}

/// What the whole set says, and, after a no, what the permits alone say.
struct Answers {
    set: Response,
    permits: Option<Response>,
}

impl Loaded {
    fn respond(&self, question: &Question) -> Result<Answers, Box<dyn Error>> {
        let principal = question.principal.uid()?;
        let resource = question.resource.uid()?;
        let action = uid("Action", question.action)?;
        let context = Context::from_pairs(pairs(&question.context)?)?;
        let request = Request::new(principal, action, resource, context, Some(&self.schema))?;
        let things = [&question.principal, &question.resource]
            .into_iter()
            .chain(&question.others);
        let entities = Entities::from_entities(
            things.map(Thing::entity).collect::<Result<Vec<_>, _>>()?,
            Some(&self.schema),
        )?;
        let ask = |set: &PolicySet| Authorizer::new().is_authorized(&request, set, &entities);
        let set = ask(&self.set);
        let permits = (set.decision() == Decision::Deny).then(|| ask(&self.permits));
        Ok(Answers { set, permits })
    }

    fn verdict(&self, question: &Question, answers: &Answers) -> Verdict {
        let failed: Vec<String> = answers.set.diagnostics().errors().map(ToString::to_string).collect();
        if !failed.is_empty() {
            tracing::error!(action = question.action, errors = ?failed, "a policy could not be evaluated");
            return fault(question, "a policy could not be evaluated");
        }
        let allowed = answers.set.decision() == Decision::Allow;
        let permits = answers
            .permits
            .iter()
            .flat_map(|permits| permits.diagnostics().reason());
        let took_effect: HashSet<&PolicyId> = answers.set.diagnostics().reason().chain(permits).collect();
        let is_permitted = |permits: &Response| permits.decision() == Decision::Allow;
        let permitted = answers.permits.as_ref().map_or(allowed, is_permitted);
        let rules: Vec<Rule> = self
            .applicable(question.action)
            .map(|named| rule(named, &took_effect))
            .collect();
        let decides = |rule: &Rule| match rule.effect {
            Effect::Permit => rule.met == allowed && (allowed || !permitted),
            Effect::Forbid => rule.met,
        };
        let (forbids, permits): (Vec<&Rule>, Vec<&Rule>) = rules
            .iter()
            .filter(|rule| decides(rule))
            .partition(|rule| rule.effect == Effect::Forbid);
        let mut reasons: Vec<Reason> = forbids
            .into_iter()
            .chain(permits)
            .map(|rule| rule.reason.clone())
            .collect();
        if reasons.is_empty() {
            reasons.push(Reason::new(
                "nothing-permits",
                format!("no rule permits `{}`", question.action),
                "the data steward of the holder can add one",
            ));
        }
        Verdict {
            allowed,
            reasons,
            step: question.step(allowed, rules),
        }
    }

    /// The rules whose action fits.
    fn applicable(&self, action: &str) -> impl Iterator<Item = &Named> {
        let asked = uid("Action", action).ok();
        self.rules.iter().filter(move |named| {
            let covers = |wanted: &EntityUid| {
                asked
                    .as_ref()
                    .is_some_and(|asked| asked == wanted || self.actions.is_ancestor_of(wanted, asked))
            };
            match named.policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(wanted) => covers(&wanted),
                ActionConstraint::In(any) => any.iter().any(covers),
            }
        })
    }
}

fn rule(named: &Named, took_effect: &HashSet<&PolicyId>) -> Rule {
    Rule {
        reason: named.reason.clone(),
        effect: named.effect,
        met: took_effect.contains(&named.id),
    }
}

fn fault(question: &Question, what: &str) -> Verdict {
    let reason = Reason::new(
        "policy-fault",
        what,
        "the holder's log says which; its data steward can mend it",
    );
    Verdict {
        allowed: false,
        reasons: vec![reason],
        step: question.step(false, Vec::new()),
    }
}

impl Question {
    fn step(&self, allowed: bool, rules: Vec<Rule>) -> Step {
        Step {
            action: self.action.to_owned(),
            about: self.about.clone(),
            allowed,
            rules,
        }
    }
}

impl Thing {
    pub(super) fn new(kind: &'static str, id: &str, attributes: Vec<Pair>) -> Self {
        Self(kind, id.to_owned(), attributes)
    }

    fn uid(&self) -> Result<EntityUid, Box<dyn Error>> {
        uid(self.0, &self.1)
    }

    fn entity(&self) -> Result<Entity, Box<dyn Error>> {
        let attributes: HashMap<String, Value> = pairs(&self.2)?.into_iter().collect();
        Ok(Entity::new(self.uid()?, attributes, HashSet::new())?)
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Box<dyn Error>> {
    Ok(EntityUid::from_type_name_and_id(
        EntityTypeName::from_str(kind)?,
        EntityId::new(id),
    ))
}

fn pairs(pairs: &[Pair]) -> Result<Vec<(String, Value)>, Box<dyn Error>> {
    pairs
        .iter()
        .map(|(name, expr)| Ok((name.clone(), expr.value()?)))
        .collect()
}

impl Expr {
    fn value(&self) -> Result<Value, Box<dyn Error>> {
        let word = |kind: &str, id: &str| Ok::<_, Box<dyn Error>>(Value::new_entity_uid(uid(kind, id)?));
        Ok(match self {
            Self::Text(text) => Value::new_string(text.clone()),
            Self::Bool(truth) => Value::new_bool(*truth),
            Self::Long(number) => Value::new_long(*number),
            Self::Word(kind, id) => word(kind, id)?,
            Self::Words(kind, ids) => {
                Value::new_set(ids.iter().map(|id| word(kind, id)).collect::<Result<Vec<_>, _>>()?)
            }
        })
    }
}

/// One pair of a record.
pub(super) fn pair(name: &str, expr: Expr) -> Pair {
    (name.to_owned(), expr)
}

/// A text in a record.
#[expect(clippy::needless_pass_by_value, reason = "callers pass what they have made for it")]
pub(super) fn text(value: impl ToString) -> Expr {
    Expr::Text(value.to_string())
}

/// An institution that asks something of `holder`.
pub(super) fn institution(asker: &Party, holder: &Party) -> Thing {
    let status = asker.status.map_or("unknown", MemberStatus::as_str);
    let attributes = vec![
        pair("name", text(&asker.institution)),
        pair("jurisdiction", text(&asker.jurisdiction)),
        pair("status", Expr::Word("Status", status.to_owned())),
        pair("own", Expr::Bool(asker.institution == holder.institution)),
    ];
    Thing::new("Institution", asker.institution.as_str(), attributes)
}

/// A dataset of `holder`.
pub(super) fn dataset(facts: &DatasetFacts, holder: &Party) -> Thing {
    let attributes = vec![
        pair("name", text(&facts.reference.dataset)),
        pair("segment", text(&facts.segment)),
        pair("jurisdiction", text(&holder.jurisdiction)),
        pair("published", Expr::Bool(facts.published)),
        pair("sensitive", Expr::Words("Tier", sensitive_tiers(facts))),
    ];
    Thing::new("Dataset", &facts.reference.to_string(), attributes)
}

/// The tiers at which the steward lets sensitive columns leave.
fn sensitive_tiers(facts: &DatasetFacts) -> Vec<String> {
    let tiers = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records].into_iter();
    let allowed = tiers.filter(|tier| facts.release.sensitive.is_some_and(|highest| *tier <= highest));
    allowed.map(|tier| tier.to_string()).collect()
}

/// A column of a dataset.
pub(super) fn column(column: &ColumnFacts, facts: &DatasetFacts) -> Thing {
    let class = column.class.map_or("unclassified", ColumnClass::as_str);
    let attributes = vec![
        pair("name", text(&column.name)),
        pair("class", Expr::Word("Class", class.to_owned())),
        pair("kind", Expr::Word("Kind", facts::word(column.kind).to_owned())),
        pair("dataset", Expr::Word("Dataset", facts.reference.to_string())),
    ];
    Thing::new("Column", &format!("{}.{}", facts.reference, column.name), attributes)
}

/// The purpose as policies name it, with its disease if there is one.
pub(super) fn purpose(purpose: &Purpose) -> Vec<Pair> {
    let named = purpose.to_string();
    let (word, disease) = named
        .split_once(':')
        .map_or((named.as_str(), None), |(word, code)| (word, Some(code)));
    let mut context = vec![pair("purpose", Expr::Word("Purpose", word.to_owned()))];
    context.extend(disease.map(|code| pair("disease", text(code))));
    context
}
