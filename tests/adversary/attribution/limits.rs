//! Limits that several people set at the same time.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{CollectionName, DatasetName};
use concordat_protocol::scope::Tier;
use serde_json::{Value, json};

use super::fixture::ApiFixture;
use crate::adversary::malicious_peer::soon;
use crate::adversary::well_behaved::InProcessNode;

/// Changes of different limits, sent at the same time: each of them waits for the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_limits_are_those_of_the_last_entry() {
    let target = InProcessNode::start("cleveland", "US").await;
    target.import().await;
    let fixture = ApiFixture::open(target).await;
    let limits = [
        json!({ "limits": { "min_cell": 20 } }),
        json!({ "limits": { "queries_per_day": 7 } }),
        json!({ "limits": { "max_rows": 1000 } }),
        json!({ "limits": { "days": 30 } }),
    ];
    let client = &fixture.people[0].1;
    let sent = limits
        .iter()
        .map(|new| client.post::<Value>("/v1/datasets/heart/limits", new));
    for answer in soon(futures::future::join_all(sent)).await {
        answer.unwrap();
    }
    let name: DatasetName = "heart".parse().unwrap();
    let node = &fixture.target.node;
    let rules = node.storage().catalog().datasets().show(&name).unwrap().release;
    let applied = rules.at(Tier::Count);
    assert!(applied.min_cell.is_some() && applied.queries_per_day.is_some());
    assert!(applied.max_rows.is_some() && applied.days.is_some());
    let stored = node
        .storage()
        .catalog()
        .datasets()
        .collection(&CollectionName::from(&name))
        .unwrap();
    let digest = stored.release_digest();
    let entries = node.ledger().range(0, u64::MAX).unwrap();
    let entered = entries.iter().rev().find_map(|stored| {
        let EntryBody::DatasetLimited { rules, .. } = &stored.entry.body else {
            return None;
        };
        Some(rules)
    });
    assert_eq!(entered, Some(&digest));
}
