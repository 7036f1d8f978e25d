//! Statistics in any number: a member sends more of them than the holder permits, under other names, at the same time, or without end.

use std::num::NonZeroU32;
use std::time::Duration;

use concordat_client::Client;
use concordat_node::config::ImportSection;
use concordat_node::{Api, SessionToken, Shutdown, serve};
use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::ids::{DatasetName, GrantId};
use concordat_protocol::release::{QueriesBelowRecords, ReleaseChange};
use concordat_protocol::scope::{Scope, Tier};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::meta::{SealedTree, TreeId};
use concordat_tests::make_change;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::malicious_peer::{now, soon};
use super::negotiation_fixture::granted_of;
use super::queries::{Answer, envelope, send_query};
use super::well_behaved::{InProcessNode, World, nameless};

const COUNT: &str = "SELECT count(*) AS n FROM heart";
const PERSON: &str = "person-queries-below-records";
const INSTITUTION: &str = "institution-queries-below-records";
const LOCKED: &str = "release-locked";

/// A grant for statistics over all but the names.
pub(super) async fn statistics(world: &World) -> GrantId {
    let scope = Scope {
        tier: Tier::Aggregate,
        ..nameless(&world.provider)
    };
    granted_of(world, scope).await
}

/// Sets the limits of a person and of an institution, as a steward does.
pub(super) async fn limit(provider: &InProcessNode, person: u32, institution: u32) {
    let node = provider.node.clone();
    let change = ReleaseChange {
        below_records: QueriesBelowRecords {
            person: NonZeroU32::new(person),
            institution: NonZeroU32::new(institution),
            all: None,
        },
        ..ReleaseChange::default()
    };
    let work = move || {
        let datasets = node.storage().catalog().datasets();
        let heart = DatasetName::new("heart").unwrap();
        make_change(&node, datasets.plan_release(&heart, &change));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

/// The attacker sends a query in the name of one of its people.
pub(super) async fn send(world: &World, grant: GrantId, person: &str, sql: &str) -> Result<Answer, Refusal> {
    let actor = format!("{person}@{}", world.attacker.institution).parse().unwrap();
    let query = envelope(
        world,
        grant,
        |draft| draft.sql = sql.to_owned(),
        |stated| stated.actor = actor,
    );
    send_query(&world.attacker, &world.provider, query).await
}

/// The rules by which a query is refused; empty if it is answered.
fn rules(answered: &Result<Answer, Refusal>) -> Vec<&str> {
    let reasons = answered.as_ref().err().map(|refusal| refusal.reasons.as_slice());
    let reasons = reasons.unwrap_or_default().iter();
    reasons.filter_map(|reason| reason.rule.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d6_queries_are_limited_per_person_and_institution() {
    let world = World::connected().await;
    let provider = &world.provider;
    let grant = statistics(&world).await;
    limit(provider, 3, 5).await;
    // A query that fails is one of them: that it fails may be what the attacker learns from it.
    let failed = send(&world, grant, "mallory", "SELECT nothing FROM heart").await;
    assert!(
        failed.is_err() && !rules(&failed).contains(&PERSON),
        "{:?}",
        failed.err()
    );
    for _ in 0..2 {
        assert!(send(&world, grant, "mallory", COUNT).await.is_ok());
    }
    let refused = send(&world, grant, "mallory", COUNT).await;
    assert_eq!(rules(&refused), [PERSON]);
    let refusal = refused.err().unwrap();
    assert_eq!(refusal.code, RefusalCode::Denied);
    let text = &refusal.reasons[0].text;
    assert!(
        text.contains("the 3 queries below `records`") && text.contains(" used up until "),
        "{text}"
    );
    // Other names do not help: the institution has a limit too.
    for person in ["marvin", "maude"] {
        assert!(send(&world, grant, person, COUNT).await.is_ok(), "{person}");
    }
    assert_eq!(rules(&send(&world, grant, "moritz", COUNT).await), [INSTITUTION]);
    // A narrower limit applies to the next query, and a wider one too.
    limit(provider, 1, 4).await;
    assert_eq!(
        rules(&send(&world, grant, "marvin", COUNT).await),
        [PERSON, INSTITUTION]
    );
    limit(provider, 2, 100).await;
    assert!(send(&world, grant, "marvin", COUNT).await.is_ok());
    assert_eq!(rules(&send(&world, grant, "marvin", COUNT).await), [PERSON]);
    // Each refusal is a decision in the ledger.
    let denied = entries(provider, |body| {
        matches!(body, EntryBody::DecisionMade { permitted: false, .. })
    });
    assert_eq!(denied.len(), 4);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_sent_at_the_same_time_share_one_limit() {
    let world = World::connected().await;
    let grant = statistics(&world).await;
    for most in 1..=2 {
        limit(&world.provider, most, 100).await;
        // There is one left.
        let sent = (0..6).map(|_| send(&world, grant, "mallory", COUNT));
        let answered = soon(futures::future::join_all(sent)).await;
        let refused: Vec<_> = answered.iter().filter(|answer| answer.is_err()).collect();
        assert_eq!(refused.len(), 5, "one of them is answered");
        for refusal in refused {
            assert_eq!(rules(refusal), [PERSON]);
        }
    }
    world.assert_still_serving().await;
}

/// The provider's API, and stewards who are logged in.
struct ApiOfStewards {
    clients: Vec<Client>,
    _socket: TempDir,
    _stop: Shutdown,
}

impl ApiOfStewards {
    async fn serve(provider: &InProcessNode, names: [&'static str; 2]) -> Self {
        let socket = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(socket.path().join("run")).unwrap();
        let mut stop = Shutdown::new();
        let stage = stop.stage("api", Duration::from_secs(1));
        let api = Api::new(provider.node.clone(), ImportSection::default());
        serve(api, socket.path(), &stage).unwrap();
        let mut clients = Vec::new();
        for name in names {
            provider.steward_named(name).await;
            let login = json!({ "name": name, "password": "correct horse battery staple" });
            let answer: Value = Client::new(socket.path()).post("/v1/login", &login).await.unwrap();
            let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
            clients.push(Client::new(socket.path()).with_token(Some(token.expose())));
        }
        Self {
            clients,
            _socket: socket,
            _stop: stop,
        }
    }

    async fn unlock(&self, steward: usize, order: &Value) -> Value {
        let path = "/v1/datasets/heart/unlock";
        let done: Value = self.clients[steward].post(path, order).await.unwrap();
        done["state"].clone()
    }
}

/// Stores that a person has reached a limit two and four days ago, as the provider does.
async fn has_reached_limits(provider: &InProcessNode, person: &'static str) {
    let node = provider.node.clone();
    let work = move || {
        let reached = [4, 2].map(|days| now().plus_seconds(-days * 86_400).as_millis());
        let counts = json!({ "queries": {}, "people": { person: { "queries": {}, "reached": reached } } });
        let tree: SealedTree<Value> = node.storage().meta().tree(TreeId::new("institution-queries")).unwrap();
        tree.put("heart/zurich", &counts).unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_who_reaches_limits_often_is_locked_until_two_unlock() {
    let world = World::connected().await;
    let provider = &world.provider;
    let grant = statistics(&world).await;
    has_reached_limits(provider, "mallory@zurich").await;
    limit(provider, 1, 100).await;
    assert!(send(&world, grant, "mallory", COUNT).await.is_ok());
    for _ in 0..2 {
        let refused = send(&world, grant, "mallory", COUNT).await;
        assert_eq!(rules(&refused), [LOCKED]);
        let refusal = refused.err().unwrap();
        assert_eq!(
            refusal.reasons[0].text,
            "the queries of mallory@zurich below `records` to `cleveland.heart` are locked"
        );
    }
    let locked = entries(provider, |body| matches!(body, EntryBody::ReleaseLocked { .. }));
    let [Cause::Peer { actor: Some(actor), .. }] = locked.as_slice() else {
        panic!("{locked:?}");
    };
    assert_eq!(actor.as_str(), "mallory@zurich");
    // Colleagues are answered, and a wider limit unlocks no one.
    limit(provider, 2, 100).await;
    assert!(send(&world, grant, "marvin", COUNT).await.is_ok());
    assert_eq!(rules(&send(&world, grant, "mallory", COUNT).await), [LOCKED]);

    let api = ApiOfStewards::serve(provider, ["stella", "stefan"]).await;
    let listed: Value = api.clients[0].get("/v1/datasets/heart/locks").await.unwrap();
    assert_eq!(listed["items"][0]["person"], "mallory@zurich", "{listed}");
    let order = json!({ "institution": "zurich", "person": "mallory@zurich" });
    for _ in 0..2 {
        assert_eq!(api.unlock(0, &order).await, "proposed");
        assert_eq!(rules(&send(&world, grant, "mallory", COUNT).await), [LOCKED]);
    }
    assert_eq!(api.unlock(1, &order).await, "unlocked");
    let unlocked = entries(provider, |body| matches!(body, EntryBody::ReleaseUnlocked { .. }));
    let [Cause::TwoPeople { first, second }] = unlocked.as_slice() else {
        panic!("{unlocked:?}");
    };
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("stella@cleveland", "stefan@cleveland")
    );
    // The query of before is still counted.
    assert!(send(&world, grant, "mallory", COUNT).await.is_ok());
    assert_eq!(rules(&send(&world, grant, "mallory", COUNT).await), [PERSON]);
    world.assert_still_serving().await;
}

/// Who caused the entries of a kind.
fn entries(provider: &InProcessNode, which: impl Fn(&EntryBody) -> bool) -> Vec<Cause> {
    let ledger = provider.node.ledger();
    let entries = ledger.range(0, ledger.size()).unwrap().into_iter();
    let found = entries.filter(|stored| which(&stored.entry.body));
    found.map(|stored| stored.entry.cause).collect()
}
