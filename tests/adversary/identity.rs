//! Attacks on identity that succeeded against other systems.

use concordat_protocol::wire::streams::HELLO;
use std::collections::BTreeSet;

use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::query::{Factor, Role};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::{Hello, HelloReply, RefusalCode};

use super::malicious_peer::{MaliciousPeer, now, sign};
use super::negotiation_fixture::granted;
use super::queries::{envelope, envelope_by, send_query};
use super::well_behaved::World;

/// A node of samply/focus skipped its protection because of the project that a task named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_does_not_depend_on_claims_of_the_consumer() {
    let world = World::connected().await;
    let attacker = &world.attacker;
    let provider = &world.provider;
    let grant = granted(&world).await;
    let rows = async |envelope| {
        send_query(attacker, provider, envelope)
            .await
            .map(|answer| answer.chunks.concat())
    };
    let plain = rows(envelope(&world, grant, |_| (), |_| ())).await.unwrap();

    let all_roles = [
        Role::Researcher,
        Role::Steward,
        Role::Coordinator,
        Role::SecurityOfficer,
        Role::Auditor,
        Role::Administrator,
    ];
    let all_factors = [Factor::Password, Factor::OneTimeCode, Factor::HardwareKey];
    let mut answered = 0;
    let claims = [
        envelope(&world, grant, |_| (), |a| a.roles = BTreeSet::from(all_roles)),
        envelope(&world, grant, |_| (), |a| a.factors = BTreeSet::from(all_factors)),
        envelope(&world, grant, |_| (), |a| a.authenticated_at = now()),
        envelope(
            &world,
            grant,
            |_| (),
            |a| a.training_until = Some(now().plus_seconds(86_400 * 365)),
        ),
        envelope(&world, grant, |_| (), |a| a.actor = "exporter@zurich".parse().unwrap()),
        envelope(
            &world,
            grant,
            |_| (),
            |a| a.actor = "administrator@zurich".parse().unwrap(),
        ),
        envelope(&world, grant, |q| q.purpose = Purpose::GeneralResearch, |_| ()),
        envelope(&world, grant, |q| q.purpose = Purpose::ClinicalCare, |_| ()),
        envelope(&world, grant, |q| q.purpose = Purpose::MethodsDevelopment, |_| ()),
        envelope(&world, grant, |q| q.deadline = now().plus_seconds(86_400), |_| ()),
        envelope(
            &world,
            grant,
            |q| q.sql = format!("{} -- project: exporter", q.sql),
            |_| (),
        ),
    ];
    for claim in claims {
        if let Ok(found) = rows(claim).await {
            assert_eq!(found, plain);
            answered += 1;
        }
    }
    assert!(answered >= 5, "{answered} were answered");
    world.assert_still_serving().await;
}

/// samply/beam mistook `neu-ulm.broker` for `ulm.broker`, because one name ends with the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn institution_id_that_contains_another_is_a_different_one() {
    for other in [
        "Zurich",
        "ZURICH",
        "zurich ",
        " zurich",
        "zurich.",
        "zurich@",
        "zür\u{131}ch",
        "zurich\u{200b}",
    ] {
        assert!(InstitutionId::new(other).is_err(), "{other:?} is a name");
    }
    let world = World::connected().await;
    let grant = granted(&world).await;
    let names = [
        "neu-zurich",
        "zurich-neu",
        "zurich2",
        "zuric",
        "zurich-zurich",
        "zu",
        "u-zurich-u",
    ];
    for (number, name) in (1..).zip(names) {
        let other = MaliciousPeer::numbered(name, number);
        world.admit(&other).await;
        other.meet(&world.provider).await;
        for from in [name, "zurich"] {
            let from: InstitutionId = from.parse().unwrap();
            let query = envelope_by(&other, &world, grant, |q| q.from = from, |_| ());
            let refusal = send_query(&other, &world.provider, query)
                .await
                .err()
                .expect("it is another institution");
            assert!(
                matches!(
                    refusal.code,
                    RefusalCode::Invalid | RefusalCode::NotFound | RefusalCode::Denied
                ),
                "{refusal:?}"
            );
        }
    }
    world.assert_still_serving().await;
}

/// openziti accepted the identity of any certificate in the chain that was shown, not only of the one whose key held the connection.
/// Tries every mixture of two members' certificates, names, keys and signatures; only one of them is a node's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_is_the_certificate_of_the_connections_key() {
    const PARTS: usize = 6;
    let world = World::new().await;
    let thief = MaliciousPeer::start("vienna", 5);
    world.admit(&thief).await;
    let both = [&thief, &world.attacker];
    for mixture in (1..1_usize << PARTS).chain([0]) {
        let of = |part: usize| both[mixture >> part & 1];
        let hello = thief.hello(&world.provider, |_| (), |_| ());
        let mut certificate = hello.certificate.peek_unverified().unwrap();
        certificate.node = of(0).id();
        certificate.institution = of(1).institution.clone();
        certificate.institution_key = of(2).institution_key.public();
        let mut statement = hello.statement.peek_unverified().unwrap();
        statement.from = of(4).id();
        let signer: &InstitutionKey = &of(3).institution_key;
        let speaker: &NodeKey = &of(5).node;
        let mixed = Hello {
            certificate: sign(&certificate, signer),
            statement: sign(&statement, speaker),
            ..hello
        };
        let accepted = match thief.dial(&world.provider).await {
            Ok(()) => thief
                .request::<HelloReply>(&world.provider, HELLO, &mixed)
                .await
                .is_ok(),
            Err(_) => false,
        };
        assert_eq!(accepted, mixture == 0, "mixture {mixture:06b}");
        if mixture != 0 {
            thief.until_alone().await;
        }
    }
    world.assert_still_serving().await;
}
