//! Estimates: a member learns what would be decided about its own query, and nothing about data or about others, in whatever number.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::GrantId;
use concordat_protocol::query::{ActorAssertion, QueryEnvelope};
use concordat_protocol::scope::{Limits, Scope, Tier};
use concordat_protocol::wire::messages::{EstimateReply, EstimateRequest, EstimatedTerms, Refusal, RefusalCode};
use concordat_protocol::wire::streams::ESTIMATE;

use super::malicious_peer::now;
use super::negotiation_fixture::{change, grant_between_members, granted, granted_of};
use super::queries::{envelope, send_query};
use super::query_limits::{limit, send, statistics};
use super::well_behaved::{InProcessNode, World, nameless};

const COUNT: &str = "SELECT count(*) AS n FROM heart";

/// What the provider states about the query that the two functions make of a valid one.
pub(super) async fn estimate(
    world: &World,
    grant: GrantId,
    query: impl FnOnce(&mut QueryEnvelope),
    person: impl FnOnce(&mut ActorAssertion),
) -> Result<EstimatedTerms, Refusal> {
    let query = envelope(world, grant, query, person).peek_unverified().unwrap();
    let request = EstimateRequest {
        grant,
        actor: query.actor,
        purpose: query.purpose,
        version: query.version,
        sql_bytes: u32::try_from(query.sql.len()).unwrap(),
    };
    let mut stream = world.attacker.open(&world.provider, ESTIMATE).await.unwrap();
    stream.send(&request).await.unwrap();
    match stream.recv().await.unwrap() {
        EstimateReply::Permitted(terms) => Ok(terms),
        EstimateReply::Refused(refusal) => Err(refusal),
    }
}

/// Sends a query for the number of these people, and returns whether it is in the answer.
async fn shows(world: &World, grant: GrantId, who: &str) -> bool {
    let sql = format!("SELECT count(*) AS n FROM heart {who} HAVING count(*) IS NOT NULL");
    let answer = send(world, grant, "mallory", &sql).await;
    answer.is_ok_and(|answer| answer.receipt.peek_unverified().unwrap().rows == 1)
}

async fn valid(world: &World, grant: GrantId) -> Result<EstimatedTerms, Refusal> {
    estimate(world, grant, |_| (), |_| ()).await
}

fn entries(provider: &InProcessNode) -> Vec<EntryBody> {
    let ledger = provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap().into_iter();
    entries.map(|stored| stored.entry.body).collect()
}

fn is_about_queries(body: &EntryBody) -> bool {
    matches!(
        body,
        EntryBody::DecisionMade { .. } | EntryBody::QueriesRefused { .. } | EntryBody::AnswerReleased { .. }
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimate_of_another_institution_looks_like_that_of_no_grant() {
    let world = World::connected().await;
    let theirs = grant_between_members(&world).await;
    let none = GrantId::from_bytes([9; 16]);
    let refused = valid(&world, theirs).await.unwrap_err();
    let unknown = valid(&world, none).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotFound);
    let without_id = |refusal: &Refusal, id: &GrantId| refusal.reasons[0].text.replace(&id.to_string(), "ID");
    assert_eq!(without_id(&refused, &theirs), without_id(&unknown, &none));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimate_uses_nothing_up_and_reads_no_row() {
    let world = World::connected().await;
    let provider = &world.provider;
    let grant = statistics(&world).await;
    limit(provider, 3, 100).await;
    assert!(shows(&world, grant, "WHERE sex = 0").await);
    let about_queries = || entries(provider).iter().filter(|body| is_about_queries(body)).count();
    let before = about_queries();
    for _ in 0..10 {
        let terms = valid(&world, grant).await.unwrap();
        assert_eq!((terms.tier, terms.queries_left), (Tier::Aggregate, Some(2)));
        assert_eq!(terms.limits.min_cell, Limits::default().min_cell);
    }
    assert_eq!(about_queries(), before, "nothing is entered");
    // No row can be read any more, which an estimate does not notice, and a query does, unless it was answered before.
    assert!(provider.empty_objects() > 0);
    assert!(valid(&world, grant).await.is_ok());
    assert!(!shows(&world, grant, "").await, "the number of all is shown otherwise");
    assert_eq!(valid(&world, grant).await.unwrap().queries_left, Some(1));
    assert!(shows(&world, grant, "WHERE sex = 0").await);
    let estimated = valid(&world, grant).await.unwrap_err();
    let refused = send(&world, grant, "mallory", COUNT).await.err().unwrap();
    assert_eq!(estimated.reasons, refused.reasons);
    world.assert_still_serving().await;
}

/// The terms are a function of permission and policy: two datasets of which one has another number of rows have the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimate_does_not_depend_on_rows() {
    let world = World::connected().await;
    let grant = statistics(&world).await;
    let before = valid(&world, grant).await.unwrap();
    world.provider.import_rows(7).await;
    assert_eq!(valid(&world, grant).await.unwrap(), before);
    world.assert_still_serving().await;
}

/// Each refusal of an estimate is that of the query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimate_is_refused_like_the_query() {
    type Change = (fn(&mut QueryEnvelope), fn(&mut ActorAssertion));
    let world = World::connected().await;
    let grant = granted(&world).await;
    let changes: [Change; 6] = [
        (|_| (), |person| person.actor = "eva@budapest".parse().unwrap()),
        (|_| (), |person| person.audience = "budapest".parse().unwrap()),
        (|_| (), |person| person.expires = now().plus_seconds(-1)),
        (|_| (), |person| person.training_until = None),
        (|_| (), |person| person.roles.clear()),
        (|query| query.purpose = "ancestry".parse().unwrap(), |_| ()),
    ];
    for (query, person) in changes {
        let estimated = estimate(&world, grant, query, person).await.unwrap_err();
        let sent = envelope(&world, grant, query, person);
        let refused = send_query(&world.attacker, &world.provider, sent).await.err().unwrap();
        assert_eq!((estimated.code, &estimated.reasons), (refused.code, &refused.reasons));
    }
    assert!(valid(&world, grant).await.is_ok());
    for event in [GrantEvent::Suspend, GrantEvent::Revoke] {
        change(&world.provider, &grant, event).await;
        let estimated = valid(&world, grant).await.unwrap_err();
        let sent = envelope(&world, grant, |_| (), |_| ());
        let refused = send_query(&world.attacker, &world.provider, sent).await.err().unwrap();
        assert_eq!((estimated.code, &estimated.reasons), (refused.code, &refused.reasons));
    }
    world.assert_still_serving().await;
}

/// A member that tries out what it could get is seen, and cannot make the ledger grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimates_that_are_refused_are_entered_in_limited_number() {
    let world = World::connected().await;
    let scope = Scope {
        tier: Tier::Count,
        ..nameless(&world.provider)
    };
    let grant = granted_of(&world, scope).await;
    for _ in 0..30 {
        let refused = estimate(&world, grant, |_| (), |person| person.training_until = None).await;
        assert_eq!(refused.unwrap_err().code, RefusalCode::Denied);
    }
    let refused: Vec<String> = entries(&world.provider)
        .into_iter()
        .filter_map(|body| {
            let EntryBody::QueriesRefused { reason, .. } = body else {
                return None;
            };
            Some(reason.to_string())
        })
        .collect();
    assert!((1..=3).contains(&refused.len()), "{refused:?}");
    assert!(
        refused.iter().all(|reason| reason.starts_with("an estimate: ")),
        "{refused:?}"
    );
    world.assert_still_serving().await;
}
