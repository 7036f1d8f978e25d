//! Columns of grants: they are shown to the consumer of an active grant, and to no other institution.

use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::query::QueryEnvelope;
use concordat_protocol::scope::{Scope, Tier};
use concordat_protocol::wire::messages::{GrantColumnsReply, GrantColumnsRequest, Refusal, RefusalCode};
use concordat_protocol::wire::streams::GRANT_COLUMNS;

use super::negotiation_fixture::{grant_between_members, granted, granted_of};
use super::queries::{envelope, revoke, send_query};
use super::well_behaved::{World, nameless};

async fn columns(world: &World, grant: GrantId) -> Result<Vec<String>, Refusal> {
    let mut stream = world.attacker.open(&world.provider, GRANT_COLUMNS).await.unwrap();
    stream.send(&GrantColumnsRequest { grant }).await.unwrap();
    match stream.recv().await.unwrap() {
        GrantColumnsReply::Datasets(granted) => {
            let columns = granted.datasets.into_iter().flat_map(|dataset| dataset.columns);
            Ok(columns.map(|column| column.name.to_string()).collect())
        }
        GrantColumnsReply::Refused(refusal) => Err(refusal),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_columns_of_another_institution_look_like_those_of_no_grant() {
    let world = World::connected().await;
    let theirs = grant_between_members(&world).await;
    let none = GrantId::from_bytes([9; 16]);
    let refused = columns(&world, theirs).await.unwrap_err();
    let unknown = columns(&world, none).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotFound);
    let without_id = |refusal: &Refusal, id: &GrantId| refusal.reasons[0].text.replace(&id.to_string(), "ID");
    assert_eq!(without_id(&refused, &theirs), without_id(&unknown, &none));
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_columns_are_those_of_the_scope_while_the_grant_is_active() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let shown = columns(&world, grant).await.unwrap();
    assert!(shown.iter().any(|name| name == "chol"), "{shown:?}");
    assert!(
        !shown.iter().any(|name| name == "name"),
        "it is outside the scope: {shown:?}"
    );
    revoke(&world.provider, grant).await;
    let refused = columns(&world, grant).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Denied);
}

/// The same text would distinguish other values, so a query states on which declarations it was planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_planned_on_other_declarations_is_refused() {
    let world = World::connected().await;
    let request = Scope {
        tier: Tier::Aggregate,
        ..nameless(&world.provider)
    };
    let grant = granted_of(&world, request).await;
    let mut stream = world.attacker.open(&world.provider, GRANT_COLUMNS).await.unwrap();
    stream.send(&GrantColumnsRequest { grant }).await.unwrap();
    let GrantColumnsReply::Datasets(granted) = stream.recv().await.unwrap() else {
        panic!("the grant is active")
    };
    let rules = granted.rules.unwrap();
    let columns = rules.datasets().flat_map(|(_, dataset)| dataset.columns());
    let names: Vec<String> = columns.map(|(name, _)| name.to_string()).collect();
    assert!(
        !names.iter().any(|name| name == "name"),
        "it is outside the scope: {names:?}"
    );
    let planned_on = |rules: Option<Digest32>| {
        let change = move |query: &mut QueryEnvelope| {
            query.sql = "SELECT sex, count(*) AS n FROM heart GROUP BY sex".to_owned();
            query.rules = rules;
        };
        send_query(
            &world.attacker,
            &world.provider,
            envelope(&world, grant, change, |_| ()),
        )
    };
    assert!(planned_on(Some(rules.digest())).await.is_ok());
    assert!(planned_on(None).await.is_ok());
    let refused = planned_on(Some(Digest32::ZERO)).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::Invalid);
    assert!(refused.reasons[0].text.contains("has changed"), "{refused:?}");
}
