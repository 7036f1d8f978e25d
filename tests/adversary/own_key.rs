//! The next key of an institution, at a node that cannot state where it is reached.

use concordat_node::MembershipError;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::membership::{Enrollment, MemberNode, to_armor};
use concordat_protocol::text::{Address, ConsortiumName};
use concordat_tests::tester;

use super::malicious_peer::{now, sign};
use super::well_behaved::InProcessNode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_key_without_an_address_is_not_made_or_recorded() {
    let (founder, member) = tokio::join!(
        InProcessNode::start("cleveland", "US"),
        InProcessNode::start_at("budapest", "HU", Vec::new())
    );
    let coordinator = founder.node.membership();
    let membership = member.node.membership();
    let name = ConsortiumName::new("Heart Study").unwrap();
    coordinator.found(name, &tester()).await.unwrap();
    coordinator
        .admit(application(&member).as_bytes(), &tester())
        .await
        .unwrap();
    let roster = coordinator.export().unwrap();
    membership.join(roster.as_bytes(), &tester()).await.unwrap();

    let refused = membership.make_next_key(&tester()).await;
    assert!(matches!(refused, Err(MembershipError::NoAddress)), "{refused:?}");
    assert!(member.node.identity().next_key().is_none());
    let entries = member.node.ledger().range(0, u64::MAX).unwrap();
    let made = |body: &EntryBody| matches!(body, EntryBody::KeyChanged { .. });
    assert!(!entries.iter().any(|stored| made(&stored.entry.body)));
}

/// The application of a node, which states an address at which it does not listen.
fn application(node: &InProcessNode) -> String {
    let identity = node.node.identity();
    let enrollment = Enrollment {
        institution: identity.institution.clone(),
        name: identity.name.clone(),
        jurisdiction: identity.jurisdiction.clone(),
        key: identity.institution_public(),
        nodes: vec![MemberNode {
            node: identity.node(),
            addresses: vec![Address::new("/ip4/127.0.0.1/tcp/9").unwrap()],
        }],
        issued_at: now(),
        succeeds: None,
    };
    to_armor(&sign(&enrollment, &*identity.institution_key()))
}
