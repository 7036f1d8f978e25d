//! Statements of rules: what a member can make others believe and keep, and that nothing it sends changes what another node enforces.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{CollectionName, DatasetName, Digest32, NodeId, StartId};
use concordat_protocol::membership::NodeStart;
use concordat_protocol::query::{ActorAssertion, Factor, QueryEnvelope, Role};
use concordat_protocol::release::{ReleaseChange, TierLimits};
use concordat_protocol::scope::{Limits, ProtectionName, Purpose, Scope, Tier};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Label;
use concordat_protocol::wire::messages::{
    CatalogReply, CatalogRequest, EnforcedRules, GrantColumnsReply, GrantColumnsRequest, RulesByTier, RulesFrame,
    RulesStatement, TierRules,
};
use concordat_protocol::wire::streams::{
    ADDRESSES, ALL, CATALOG, ESTIMATE, GRANT_COLUMNS, GRANT_HEADS, HELLO, NEGOTIATION, NOTICE, PROBE, QUERY, RECEIPT,
    ROSTER, RULES, StreamName,
};
use concordat_tests::make_change;

use super::estimates::estimate;
use super::malicious_peer::{MaliciousPeer, now, sign, soon};
use super::negotiation_fixture::granted_of;
use super::queries::{envelope, send_query};
use super::well_behaved::{InProcessNode, World, nameless};

/// How often it is checked whether something has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Longer than a node waits until it announces what has changed.
const QUIET: Duration = Duration::from_secs(5);
/// The protocols whose messages the policy decides about.
const DECIDED: [StreamName; 5] = [CATALOG, GRANT_COLUMNS, ESTIMATE, NEGOTIATION, QUERY];
/// Those about which it does not decide.
const NOT_DECIDED: [StreamName; 8] = [HELLO, ROSTER, ADDRESSES, RULES, PROBE, NOTICE, GRANT_HEADS, RECEIPT];

/// What the attacker announces, with this revision and this minimum.
pub(super) fn statement(attacker: &MaliciousPeer, revision: u32, min_cell: u32) -> RulesStatement {
    let tiers = RulesByTier::of(|_| TierRules {
        min_cell,
        protections: BTreeSet::from([ProtectionName::Exact]),
        queries_per_day: 1000,
        days: 365,
    });
    RulesStatement {
        node: attacker.id(),
        institution: attacker.institution.clone(),
        // The start that it states in its hello.
        start: NodeStart {
            generation: 0,
            number: 1,
            id: StartId::from_bytes([7; 16]),
        },
        revision,
        at: now(),
        rules: EnforcedRules::new(Label::new("0").unwrap(), Digest32::ZERO, tiers),
    }
}

/// Sends a statement; the reply is that of the other side.
async fn send(
    attacker: &MaliciousPeer,
    target: &InProcessNode,
    statement: Signed<RulesStatement>,
) -> Option<Signed<RulesStatement>> {
    let sent = RulesFrame { statement };
    let reply = attacker.request::<RulesFrame>(target, RULES, &sent);
    reply.await.ok().map(|frame| frame.statement)
}

/// What `target` knows of the node `of`: revision and minimum.
fn known(target: &InProcessNode, of: NodeId) -> Option<(u32, u32)> {
    let known = target
        .node
        .rules()
        .peers()
        .into_iter()
        .find(|known| known.statement.node == of)?;
    let tiers = known.statement.rules.tiers();
    Some((known.statement.revision, tiers.aggregate.min_cell))
}

/// The entries of `target` about the rules of the node `of`: whether each is about weaker ones.
fn entries(target: &InProcessNode, of: NodeId) -> Vec<bool> {
    let ledger = target.node.ledger();
    let stored = ledger.range(0, ledger.size()).unwrap();
    let about = |body: &EntryBody| {
        if let EntryBody::RulesAnnounced { node, weaker, .. } = body {
            (*node == of).then_some(*weaker)
        } else {
            None
        }
    };
    stored.iter().filter_map(|stored| about(&stored.entry.body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_forged_or_replayed_change_nothing() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let valid = sign(&statement(attacker, 5, 10), &attacker.node);
    let own = send(attacker, provider, valid.clone()).await.unwrap();
    let own = own.verify(provider.node.identity().node()).unwrap();
    assert_eq!(own.document().rules.tiers().count.min_cell, 10);
    let other = NodeKey::from_seed(&[77; 32].into());
    let changed = |change: fn(&mut RulesStatement)| {
        let mut changed = statement(attacker, 9, 50);
        change(&mut changed);
        sign(&changed, &attacker.node)
    };
    let member = RulesStatement {
        node: world.member.node.identity().node(),
        institution: world.member.id().clone(),
        ..statement(attacker, 9, 50)
    };
    let refused = [
        ("by another", sign(&statement(attacker, 9, 50), &other)),
        ("about a member", sign(&member, &attacker.node)),
        (
            "of another institution",
            changed(|s| s.institution = "budapest".parse().unwrap()),
        ),
        ("of an earlier start", changed(|s| s.start.number = 0)),
        ("of a later start", changed(|s| s.start.number = 2)),
        (
            "of a start beside",
            changed(|s| s.start.id = StartId::from_bytes([8; 16])),
        ),
        ("of another generation", changed(|s| s.start.generation = 1)),
        ("of the future", changed(|s| s.at = now().plus_seconds(3600))),
        ("an earlier one", sign(&statement(attacker, 4, 50), &attacker.node)),
        (
            "another one of the same revision",
            sign(&statement(attacker, 5, 50), &attacker.node),
        ),
        ("not a statement", Signed::from_bytes(vec![0xa0]).unwrap()),
    ];
    for (what, statement) in refused {
        assert!(
            send(attacker, provider, statement).await.is_none(),
            "{what} was answered"
        );
        assert_eq!(known(provider, attacker.id()), Some((5, 10)), "{what}");
    }
    let mut stream = attacker.open(provider, RULES).await.unwrap();
    let oversized = vec![0; 100_000];
    assert!(stream.body(&oversized).await.is_err() || stream.is_dropped().await);
    // The one that is known can be sent again.
    assert!(send(attacker, provider, valid).await.is_some());
    assert_eq!(known(provider, attacker.id()), Some((5, 10)));
    assert_eq!(entries(provider, attacker.id()), [false]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_in_a_loop_add_a_bounded_number_of_entries() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    for revision in 1..=40 {
        let next = sign(&statement(attacker, revision, 10 + revision % 2), &attacker.node);
        assert!(
            send(attacker, provider, next).await.is_some(),
            "what is ignored is answered"
        );
    }
    assert_eq!(known(provider, attacker.id()), Some((8, 10)));
    assert_eq!(
        entries(provider, attacker.id()),
        [false, true, false, true, false, true, false, true]
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_reach_each_peer_and_again_when_they_change() {
    let world = World::new().await;
    let nodes = [&world.provider, &world.member];
    let ids = nodes.map(|node| node.node.identity().node());
    let both = async {
        while known(nodes[0], ids[1]).is_none() || known(nodes[1], ids[0]).is_none() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    soon(both).await;
    assert_eq!(known(&world.member, ids[0]).unwrap().1, 10);
    let own = world.provider.node.rules().own().unwrap();
    assert_eq!(world.member.node.rules().peers()[0].statement, own);

    limit(&world.provider, 5).await;
    let changed = async {
        while known(&world.member, ids[0]).is_some_and(|(_, min_cell)| min_cell != 5) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    soon(changed).await;
    let weaker: Vec<String> = world.member.node.rules().peers()[0]
        .weaker(now())
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected =
        ["exists", "count", "aggregate"].map(|tier| format!("{tier}: cells of 5 subjects or more, 10 before"));
    assert_eq!(weaker, expected);
    assert_eq!(entries(&world.member, ids[0]), [false, true]);
    assert_eq!(entries(&world.provider, ids[1]), [false]);
    // A change that concerns no rule announces nothing.
    world.provider.node.epoch().raise();
    world.assert_still_serving().await;
    assert_eq!(entries(&world.member, ids[0]), [false, true]);
}

/// A peer that repeats its statement on all its streams makes a node do no more work for each: the records are not read again, and one statement is
/// answered at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_repeated_read_no_records() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let known = sign(&statement(attacker, 1, 10), &attacker.node);
    // The hellos of the beginning raise the epoch.
    tokio::time::sleep(QUIET).await;
    let before = send(attacker, provider, known.clone()).await.unwrap();
    set_limit(provider, 5).await;
    let repeated = (0..12).map(|_| send(attacker, provider, known.clone()));
    for answer in futures::future::join_all(repeated).await {
        assert_eq!(answer.as_ref(), Some(&before), "no change was announced by the epoch");
    }
    provider.node.epoch().raise();
    let after = send(attacker, provider, known).await.unwrap();
    assert_ne!(after, before);
    world.assert_still_serving().await;
}

/// The steward of `target` sets the minimum of `heart`, at every tier.
async fn limit(target: &InProcessNode, min_cell: u32) {
    set_limit(target, min_cell).await;
    target.node.epoch().raise();
}

/// The same, before the epoch is raised.
async fn set_limit(target: &InProcessNode, min_cell: u32) {
    let node = target.node.clone();
    let change = ReleaseChange {
        limits: TierLimits {
            min_cell: NonZeroU32::new(min_cell),
            ..TierLimits::default()
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

/// Everything that a member can state about itself, a person, a purpose or a time, in every message that reaches a decision. What is enforced
/// follows from the records and the policy set alone: the same statement, the same scope and the same cells, whatever was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_of_a_request_changes_no_rule() {
    let known: BTreeSet<StreamName> = DECIDED.into_iter().chain(NOT_DECIDED).collect();
    assert_eq!(known, BTreeSet::from(ALL), "a protocol that this test does not know");

    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    // It announces that it would release every cell.
    let announced = sign(&statement(attacker, 1, 1), &attacker.node);
    let before = send(attacker, provider, announced.clone()).await.unwrap();

    // NEGOTIATION: it requests as little protection as can be written.
    let request = Scope {
        tier: Tier::Aggregate,
        limits: Limits::WIDEST,
        ..nameless(provider)
    };
    let grant = granted_of(&world, request).await;
    let terms = provider.node.grants().get(&grant).await.unwrap().terms;
    let rules = before.peek_unverified().unwrap().rules;
    assert_eq!(terms.scope.limits.min_cell, rules.tiers().aggregate.min_cell);
    assert_eq!(
        terms.scope.limits.max_queries_per_day,
        Some(rules.tiers().aggregate.queries_per_day)
    );
    assert!(
        rules
            .tiers()
            .aggregate
            .protections
            .contains(&terms.scope.protection.name())
    );

    // CATALOG and GRANT_COLUMNS.
    for from in [0, 0, u32::MAX] {
        for collection in [None, Some(CollectionName::new("heart").unwrap())] {
            let request = CatalogRequest { from, collection };
            let page: CatalogReply = attacker.request(provider, CATALOG, &request).await.unwrap();
            for entry in page.collections {
                assert_eq!(entry.protections, rules.tiers().aggregate.protections);
            }
        }
    }
    let request = GrantColumnsRequest { grant };
    let columns: GrantColumnsReply = attacker.request(provider, GRANT_COLUMNS, &request).await.unwrap();
    assert!(matches!(columns, GrantColumnsReply::Datasets(_)));

    // ESTIMATE: the limits and the protection are those that were agreed.
    let expected = estimate(&world, grant, |_| (), |_| ()).await.unwrap();
    for (change_query, change_person) in metadata() {
        if let Ok(terms) = estimate(&world, grant, change_query, change_person).await {
            assert_eq!(terms.limits.min_cell, expected.limits.min_cell);
            assert_eq!((terms.tier, terms.protection), (expected.tier, expected.protection));
        }
    }

    // QUERY: a group of 200 subjects is released, and one of three never is.
    for (sql, rows) in [
        (
            "SELECT count(*) AS n FROM heart WHERE sex = 1 HAVING count(*) IS NOT NULL",
            1,
        ),
        (
            "SELECT chol, count(*) AS n FROM heart GROUP BY chol HAVING count(*) < 8",
            0,
        ),
    ] {
        let plain = envelope(&world, grant, |query| query.sql = sql.to_owned(), |_| ());
        let expected = send_query(attacker, provider, plain).await.ok().unwrap();
        assert_eq!(expected.receipt.peek_unverified().unwrap().rows, rows, "{sql}");
        let mut answered = 0;
        for (change_query, change_person) in metadata() {
            let change = |query: &mut QueryEnvelope| {
                change_query(query);
                query.sql = sql.to_owned();
            };
            let changed = envelope(&world, grant, change, change_person);
            // Some of them are denied, which reveals less.
            if let Ok(answer) = send_query(attacker, provider, changed).await {
                assert_eq!(answer.chunks, expected.chunks, "{sql}");
                answered += 1;
            }
        }
        assert!(answered >= 6, "{answered} were answered");
    }
    let after = send(attacker, provider, announced).await.unwrap();
    assert_eq!(after, before, "the provider states something else");
    world.assert_still_serving().await;
}

type Change = (fn(&mut QueryEnvelope), fn(&mut ActorAssertion));

/// Every field of a query and of its assertion that is not needed to identify it, with other values.
fn metadata() -> [Change; 11] {
    [
        (|q| q.sent_at = now().plus_seconds(-20), |_| ()),
        (|q| q.deadline = now().plus_seconds(20), |_| ()),
        (|q| q.purpose = Purpose::GeneralResearch, |_| ()),
        (|q| q.purpose = Purpose::MethodsDevelopment, |_| ()),
        (|_| (), |a| a.actor = "min-cell-1@zurich".parse().unwrap()),
        (
            |_| (),
            |a| {
                a.roles = [
                    Role::Researcher,
                    Role::Steward,
                    Role::SecurityOfficer,
                    Role::Administrator,
                ]
                .into()
            },
        ),
        (
            |_| (),
            |a| a.factors = [Factor::Password, Factor::OneTimeCode, Factor::HardwareKey].into(),
        ),
        (|_| (), |a| a.authenticated_at = now().plus_seconds(-1)),
        (|_| (), |a| a.password_reset_at = Some(now().plus_seconds(-30))),
        (|_| (), |a| a.training_until = Some(now().plus_seconds(86_400 * 365))),
        (|_| (), |a| a.expires = now().plus_seconds(30)),
    ]
}
