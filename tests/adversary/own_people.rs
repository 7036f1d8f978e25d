//! One of a member's own people, who has a role and uses the node without end, or tries what the policy denies.

use std::collections::BTreeMap;

use concordat_node::{Actor, FederationError, Question};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::ledger::StoredEntry;
use concordat_storage::meta::{SealedTree, TreeId};

use super::malicious_peer::{now, soon};
use super::negotiation_fixture::grant_between_members;
use super::well_behaved::{InProcessNode, World};

const SQL: &str = "SELECT sex FROM cleveland.heart";
/// The budget of one person, in bytes.
const BUDGET: u64 = 8 << 20;
/// What a short query counts.
const SHORT: u64 = 256;

/// Stores that the texts of the person leave so many bytes of the budget, as the node does.
async fn leave_of_budget(of: &InProcessNode, person: &Actor, bytes: u64) {
    let node = of.node.clone();
    let person = person.id().to_string();
    let work = move || {
        let hour = now().as_millis().div_euclid(3_600_000);
        let tree: SealedTree<BTreeMap<i64, u64>> = node.storage().meta().tree(TreeId::new("query-texts")).unwrap();
        tree.put(&person, &BTreeMap::from([(hour, BUDGET - bytes)])).unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

fn entries(of: &InProcessNode, which: impl Fn(&EntryBody) -> bool) -> Vec<StoredEntry> {
    let ledger = of.node.ledger();
    let all = ledger.range(0, ledger.size()).unwrap().into_iter();
    all.filter(|stored| which(&stored.entry.body)).collect()
}

fn is_refusal(body: &EntryBody) -> bool {
    matches!(body, EntryBody::QueriesRefused { .. })
}

fn is_of_a_query(body: &EntryBody) -> bool {
    matches!(body, EntryBody::DecisionMade { .. } | EntryBody::QueryOpened { .. })
}

fn refusal(ended: FederationError) -> Refusal {
    let FederationError::Refused { refusal, .. } = ended else {
        panic!("{ended:?}");
    };
    refusal
}

/// A person whose texts are used up adds nothing more to the evidence of `node`; the refusal is entered in their name.
async fn assert_limited(node: &InProcessNode, person: &Actor) {
    leave_of_budget(node, person, SHORT).await;
    node.query(person, SQL).await.unwrap();
    let before = entries(node, is_of_a_query).len();
    for _ in 0..5 {
        let refusal = refusal(node.query(person, SQL).await.unwrap_err());
        let rule = refusal.reasons[0].rule.as_deref();
        assert_eq!((refusal.code, rule), (RefusalCode::Denied, Some("query-text-per-day")));
    }
    assert_eq!(entries(node, is_of_a_query).len(), before, "nothing is stored");
    let refused = entries(node, is_refusal);
    assert_eq!(refused.len(), 1, "the others of the minute are counted");
    assert!(
        refused
            .iter()
            .all(|stored| stored.entry.cause.actor() == Some(person.id()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_queries_beyond_the_texts_of_a_day_are_refused() {
    let world = World::connected().await;
    let eva = world.provider.researcher().await;
    assert_limited(&world.provider, &eva).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_queries_beyond_the_texts_of_a_day_are_refused() {
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    assert_limited(&world.member, &eva).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_queries_that_the_policy_denies_are_entered() {
    let world = World::connected().await;
    let provider = &world.provider;
    let eva = provider.researcher().await;
    let question = Question {
        purpose: Some(Purpose::Ancestry),
        ..Question::new(SQL)
    };
    for _ in 0..20 {
        let answered = soon(provider.node.federation().query(&eva, &question)).await;
        assert_eq!(refusal(answered.unwrap_err()).code, RefusalCode::Denied);
    }
    // Also if the query is about all members, of which the own one is left out.
    let of_all = Question {
        sql: SQL.replace("cleveland", "consortium"),
        ..question
    };
    assert!(soon(provider.node.federation().query(&eva, &of_all)).await.is_err());
    let refused = entries(provider, is_refusal);
    assert!((1..=2).contains(&refused.len()), "{refused:?}");
    for stored in &refused {
        assert_eq!(stored.entry.cause.actor(), Some(eva.id()));
        let EntryBody::QueriesRefused { reason, .. } = &stored.entry.body else {
            panic!("{stored:?}");
        };
        let subject = format!("`heart` for `{}`: ", Purpose::Ancestry);
        assert!(reason.as_str().starts_with(&subject), "{reason}");
    }
    assert!(
        entries(provider, is_of_a_query).is_empty(),
        "none of them was decided later"
    );
    world.assert_still_serving().await;
}
