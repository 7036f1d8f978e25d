//! Whether one person may ask one question now.

use concordat_protocol::{
    query::{ActorAssertion, Factor},
    scope::{InvalidScope, Part, People, Places, Purpose, Purposes, Scope, Window},
    time::Timestamp,
};

use super::{
    DatasetFacts, Effect, Explanation, Narrowing, OfferDecision, OfferInput, Party, Policy, Reason, Rule, Step,
    ask::{self, Expr, Question, Thing, pair, text},
    prospect::whole,
};

/// How long a local question may be used: 15 minutes, as long as an idle session.
const LOCAL_MS: i64 = 15 * 60 * 1000;

/// A question under a grant and what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct QueryInput<'a> {
    /// What the grant covers.
    pub granted: &'a Scope,
    /// Who asks, as the consumer states it.
    pub asker: &'a ActorAssertion,
    /// What for.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of asking for the current one.
    pub as_of: bool,
    /// Whose person it is.
    pub consumer: &'a Party,
    /// Who holds the dataset.
    pub provider: &'a Party,
    /// The dataset as it is now; nothing when it is gone.
    pub dataset: Option<&'a DatasetFacts>,
}

/// A question by one of the holder's own people.
#[derive(Clone, Copy, Debug)]
pub struct LocalInput<'a> {
    /// Who asks.
    pub asker: &'a ActorAssertion,
    /// What for.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of asking for the current one.
    pub as_of: bool,
    /// The holder.
    pub home: &'a Party,
    /// The dataset; nothing when there is none of that name.
    pub dataset: Option<&'a DatasetFacts>,
}

/// What comes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryDecision {
    /// The question may be answered within this scope: for this person and this purpose.
    Permit(Box<Scope>),
    /// It may not.
    Deny {
        /// Every reason at once.
        reasons: Vec<Reason>,
    },
}

impl Policy {
    /// Decides a question under a grant.
    pub fn decide(&self, input: &QueryInput<'_>, now: Timestamp) -> QueryDecision {
        self.judge(input, now).0
    }

    /// The same rule by rule.
    pub fn explain(&self, input: &QueryInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        self.judge(input, now)
    }

    /// Decides a question by one of the holder's own people, who need no grant and go through everything else.
    pub fn decide_local(&self, input: &LocalInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        let Some(facts) = input.dataset else {
            let reason = Reason::new(
                "dataset-not-visible",
                "there is no such dataset",
                "look at `concordat dataset list`",
            );
            return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
        };
        let request = match everything(input, facts, now) {
            Ok(request) => request,
            Err(error) => {
                let reason = Reason::new("invalid-request", error.to_string(), "ask another way");
                return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
            }
        };
        let asked = OfferInput {
            consumer: input.home,
            provider: input.home,
            dataset: Some(facts),
            request: &request,
        };
        match self.offer(&asked, now) {
            OfferDecision::Offer(offer) => {
                let query = QueryInput {
                    granted: &offer.scope,
                    asker: input.asker,
                    purpose: input.purpose,
                    as_of: input.as_of,
                    consumer: input.home,
                    provider: input.home,
                    dataset: Some(facts),
                };
                self.judge(&query, now)
            }
            OfferDecision::Refused(refusal) => (
                QueryDecision::Deny {
                    reasons: refusal.reasons,
                },
                refusal.explanation,
            ),
        }
    }

    fn judge(&self, input: &QueryInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        let mut explanation = Explanation {
            steps: vec![guards(input, now)],
        };
        let broken = |step: &Step| {
            step.rules
                .iter()
                .filter(|rule| rule.met)
                .map(|rule| rule.reason.clone())
                .collect()
        };
        let mut reasons: Vec<Reason> = explanation.steps.first().map(broken).unwrap_or_default();
        if let Some(facts) = input.dataset {
            let verdict = self.ask(&question(input, facts, now));
            if !verdict.allowed {
                reasons.extend(verdict.reasons);
            }
            explanation.steps.push(verdict.step);
        }
        let (today, steps) = self.today(input, now);
        explanation.steps.extend(steps.steps);
        match today {
            Ok(scope) if reasons.is_empty() => (QueryDecision::Permit(scope), explanation),
            Ok(_) => (QueryDecision::Deny { reasons }, explanation),
            Err(more) => {
                let new = |reason: &Reason| !reasons.iter().any(|known| known.text == reason.text);
                let more: Vec<Reason> = more.into_iter().filter(new).collect();
                reasons.extend(more);
                (QueryDecision::Deny { reasons }, explanation)
            }
        }
    }

    /// Holds the grant, for this person and purpose, against what policies allow today. Limits that have become narrower bind at
    /// once; whatever else has, ends the use of the grant until it is amended.
    fn today(&self, input: &QueryInput<'_>, now: Timestamp) -> (Result<Box<Scope>, Vec<Reason>>, Explanation) {
        let request = match used(input) {
            Ok(request) => request,
            Err(error) => {
                let reason = Reason::new("invalid-request", error.to_string(), "ask another way");
                return (Err(vec![reason]), Explanation::default());
            }
        };
        let asked = OfferInput {
            consumer: input.consumer,
            provider: input.provider,
            dataset: input.dataset,
            request: &request,
        };
        match self.still_allowed(&asked) {
            OfferDecision::Offer(offer)
                if offer
                    .narrowings
                    .iter()
                    .all(|narrowing| binds(narrowing, &offer.scope, now)) =>
            {
                (Ok(Box::new(offer.scope)), offer.explanation)
            }
            OfferDecision::Offer(offer) => {
                let reasons = offer.narrowings.into_iter().map(|narrowing| {
                    let (asked, offered) = (narrowing.difference.asked, narrowing.difference.offered);
                    let text = format!(
                        "the grant says `{asked}` and policy today `{offered}`: {}",
                        narrowing.reason.text
                    );
                    Reason::new(&narrowing.reason.rule, text, "ask the holder to amend the grant")
                });
                (Err(reasons.collect()), offer.explanation)
            }
            OfferDecision::Refused(refusal) => (Err(refusal.reasons), refusal.explanation),
        }
    }
}

/// Whether an answer within the narrower scope of today is still one within the grant.
fn binds(narrowing: &Narrowing, today: &Scope, now: Timestamp) -> bool {
    match narrowing.difference.part {
        Part::Limits => true,
        Part::Window => today.window.contains(now),
        Part::Dataset | Part::Tier | Part::Columns | Part::Rows | Part::Purposes | Part::People | Part::Places => false,
    }
}

/// The part of the grant that this question uses.
fn used(input: &QueryInput<'_>) -> Result<Scope, InvalidScope> {
    Ok(Scope {
        purposes: Purposes::new([input.purpose.clone()])?,
        people: People::only([input.asker.actor.clone()])?,
        ..input.granted.clone()
    })
}

/// All that one's own people could ask of a dataset.
fn everything(input: &LocalInput<'_>, facts: &DatasetFacts, now: Timestamp) -> Result<Scope, InvalidScope> {
    whole(
        facts,
        input.purpose.clone(),
        People::only([input.asker.actor.clone()])?,
        Places::only([input.home.jurisdiction.clone()])?,
        Window::new(now, now.plus_millis(LOCAL_MS))?,
    )
}

/// What follows from the agreement itself and no policy can switch off.
fn guards(input: &QueryInput<'_>, now: Timestamp) -> Step {
    let (grant, asker) = (input.granted, input.asker);
    let actor = &asker.actor;
    let window = grant.window;
    let checks = [
        (
            "grant-in-time",
            window.contains(now),
            format!("the grant holds from {window}"),
            "ask for a new grant",
        ),
        (
            "purpose-agreed",
            grant.purposes.allow(input.purpose),
            format!("the grant is for {}, not for {}", grant.purposes, input.purpose),
            "ask for one of the agreed purposes, or have the grant amended",
        ),
        (
            "person-agreed",
            grant.people.allow(actor),
            format!("the grant is for {}, not for {actor}", grant.people),
            "have the grant amended to name the person",
        ),
        (
            "place-agreed",
            grant.places.allow(&input.consumer.jurisdiction),
            format!(
                "answers may be received in {}, not in {}",
                grant.places, input.consumer.jurisdiction
            ),
            "have the grant amended to name the place",
        ),
        (
            "person-of-the-consumer",
            actor.belongs_to(&input.consumer.institution),
            format!("{actor} does not belong to {}", input.consumer.institution),
            "ask as a person of the institution that holds the grant",
        ),
        (
            "assertion-for-this-holder",
            asker.audience == input.provider.institution,
            format!("the statement about {actor} is made to {}", asker.audience),
            "ask again; the statement is made anew for each question",
        ),
        (
            "assertion-in-time",
            now < asker.expires,
            format!("the statement about {actor} was good until {}", asker.expires),
            "ask again; the statement is made anew for each question",
        ),
        (
            "dataset-there",
            input.dataset.is_some_and(|facts| facts.reference == grant.dataset),
            format!("`{}` is not known to you", grant.dataset),
            "ask the holder whether the dataset was erased",
        ),
    ];
    let rules: Vec<Rule> = checks
        .into_iter()
        .map(|(rule, holds, text, remedy)| {
            let reason = Reason::new(rule, text, remedy);
            Rule {
                reason,
                effect: Effect::Forbid,
                met: !holds,
            }
        })
        .collect();
    let allowed = rules.iter().all(|rule| !rule.met);
    Step {
        action: "use-grant".to_owned(),
        about: grant.dataset.to_string(),
        allowed,
        rules,
    }
}

fn question(input: &QueryInput<'_>, facts: &DatasetFacts, now: Timestamp) -> Question {
    let asker = input.asker;
    let seconds = |milliseconds: i64| Expr::Long(milliseconds.div_euclid(1000));
    let mut context = ask::purpose(input.purpose);
    context.push(pair("tier", Expr::Word("Tier", input.granted.tier.to_string())));
    context.push(pair(
        "factors",
        Expr::Words(
            "Factor",
            asker.factors.iter().map(|factor| word(*factor).to_owned()).collect(),
        ),
    ));
    context.push(pair("as_of", Expr::Bool(input.as_of)));
    context.push(pair("login_age_s", seconds(now.since(asker.authenticated_at))));
    context.extend(
        asker
            .training_until
            .map(|until| pair("training_left_s", seconds(until.since(now)))),
    );
    let roles = asker.roles.iter().map(|role| role.as_str().to_owned()).collect();
    let attributes = vec![
        pair("name", text(&asker.actor)),
        pair(
            "institution",
            Expr::Word("Institution", input.consumer.institution.to_string()),
        ),
        pair("roles", Expr::Words("Role", roles)),
    ];
    Question {
        principal: Thing::new("Person", asker.actor.as_str(), attributes),
        action: "query",
        resource: ask::dataset(facts, input.provider),
        others: vec![ask::institution(input.consumer, input.provider)],
        context,
        about: asker.actor.to_string(),
    }
}

const fn word(factor: Factor) -> &'static str {
    match factor {
        Factor::Password => "password",
        Factor::OneTimeCode => "one-time-code",
        Factor::HardwareKey => "hardware-key",
    }
}
