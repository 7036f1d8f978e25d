//! What other systems fell to, tried here.

use std::collections::BTreeSet;

use concordat_node::network::hello::HELLO;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::query::{Factor, Role};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::{Hello, HelloReply, RefusalCode};

use super::deal::granted;
use super::honest::World;
use super::questions::{ask, question, question_by};
use super::rogue::{Rogue, now, sign};

/// A node of samply/focus took the project that a task named as a reason to leave protection out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_an_asker_says_about_itself_changes_an_answer() {
    let world = World::met().await;
    let (rogue, provider) = (&world.rogue, &world.provider);
    let grant = granted(&world).await;
    let rows = async |envelope| {
        ask(rogue, provider, envelope)
            .await
            .map(|answer| answer.chunks.concat())
    };
    let plain = rows(question(&world, grant, |_| (), |_| ())).await.unwrap();

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
        question(&world, grant, |_| (), |a| a.roles = BTreeSet::from(all_roles)),
        question(&world, grant, |_| (), |a| a.factors = BTreeSet::from(all_factors)),
        question(&world, grant, |_| (), |a| a.authenticated_at = now()),
        question(
            &world,
            grant,
            |_| (),
            |a| a.training_until = Some(now().plus_seconds(86_400 * 365)),
        ),
        question(&world, grant, |_| (), |a| a.actor = "exporter@zurich".parse().unwrap()),
        question(
            &world,
            grant,
            |_| (),
            |a| a.actor = "administrator@zurich".parse().unwrap(),
        ),
        question(&world, grant, |q| q.purpose = Purpose::GeneralResearch, |_| ()),
        question(&world, grant, |q| q.purpose = Purpose::ClinicalCare, |_| ()),
        question(&world, grant, |q| q.purpose = Purpose::MethodsDevelopment, |_| ()),
        question(&world, grant, |q| q.deadline = now().plus_seconds(86_400), |_| ()),
        question(
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
    world.still_stands().await;
}

/// samply/beam took `neu-ulm.broker` for `ulm.broker`, because the one ends in the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_contains_another_is_somebody_else() {
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
    let world = World::met().await;
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
        let other = Rogue::numbered(name, number);
        world.admit(&other).await;
        other.meet(&world.provider).await;
        for from in [name, "zurich"] {
            let from: InstitutionId = from.parse().unwrap();
            let asked = question_by(&other, &world, grant, |q| q.from = from, |_| ());
            let refusal = ask(&other, &world.provider, asked)
                .await
                .err()
                .expect("it is somebody else");
            assert!(
                matches!(
                    refusal.code,
                    RefusalCode::Invalid | RefusalCode::NotFound | RefusalCode::Denied
                ),
                "{refusal:?}"
            );
        }
    }
    world.still_stands().await;
}

/// openziti took the identity of any certificate in the chain that was shown, not only of the one whose key held the connection.
/// Every mixture of two members' certificates, names, keys and signatures; one of them alone is a node's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_is_the_certificate_of_the_key_that_holds_the_connection() {
    const PARTS: usize = 6;
    let world = World::new().await;
    let thief = Rogue::start("vienna", 5);
    world.admit(&thief).await;
    let both = [&thief, &world.rogue];
    for mixture in (1..1_usize << PARTS).chain([0]) {
        let of = |part: usize| both[mixture >> part & 1];
        let hello = thief.hello(&world.provider, |_| (), |_| ());
        let mut certificate = hello.certificate.peek_unverified().unwrap();
        certificate.node = of(0).id();
        certificate.institution = of(1).institution.clone();
        certificate.institution_key = of(2).house.public();
        let mut statement = hello.statement.peek_unverified().unwrap();
        statement.from = of(4).id();
        let (signer, speaker): (&InstitutionKey, &NodeKey) = (&of(3).house, &of(5).node);
        let mixed = Hello {
            certificate: sign(&certificate, signer),
            statement: sign(&statement, speaker),
            ..hello
        };
        let met = match thief.dial(&world.provider).await {
            Ok(()) => thief.ask::<HelloReply>(&world.provider, HELLO, &mixed).await.is_ok(),
            Err(_) => false,
        };
        assert_eq!(met, mixture == 0, "mixture {mixture:06b}");
        if mixture != 0 {
            thief.until_alone().await;
        }
    }
    world.still_stands().await;
}
