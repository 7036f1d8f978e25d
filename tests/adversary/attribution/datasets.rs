//! What is done to datasets.

use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::answers::note_older_copy;
use concordat_storage::meta::{SealedTree, TreeId};
use serde_json::{Value, json};

use super::fixture::{ApiFixture, Leaves};
use crate::adversary::malicious_peer::now;
use crate::adversary::well_behaved::{InProcessNode, column};

pub(super) async fn all(fixture: &mut ApiFixture) {
    use Leaves::{Entries, Nothing};
    fixture.file("study.csv", "id,age\n1,40\n2,50\n");
    let inspected = json!({ "name": "study.csv", "reading": { "subject_column": "id" } });
    fixture.post("/v1/imports/inspect", "", inspected, Nothing).await;
    for mode in ["create", "append"] {
        let reading = json!({ "subject_column": "id" });
        let import = json!({ "name": "study.csv", "mode": mode, "again": true, "reading": reading });
        fixture
            .post("/v1/datasets/{name}/import", "study", import, Entries)
            .await;
    }
    fixture.target.sign_as_format_2("study").await;
    fixture
        .post("/v1/datasets/{name}/index", "study", json!({}), Entries)
        .await;
    let classes = json!({ "classes": { "id": "direct-identifier", column("age").as_str(): "ordinary" } });
    fixture
        .post("/v1/datasets/{name}/classify", "study", classes, Entries)
        .await;
    let limits = json!({ "tier": "count", "limits": { "min_cell": 20 }, "sensitive": "count" });
    fixture
        .post("/v1/datasets/{name}/limits", "study", limits, Entries)
        .await;
    for route in ["/v1/datasets/{name}/publish", "/v1/datasets/{name}/withdraw"] {
        fixture.post(route, "study", json!({}), Entries).await;
    }
    fixture
        .post("/v1/datasets/{name}/verify", "study", json!({}), Nothing)
        .await;
    let unlock = json!({ "institution": "zurich" });
    fixture
        .post_refused(
            "/v1/datasets/{name}/unlock",
            "study",
            ErrorKind::NotFound,
            unlock.clone(),
        )
        .await;
    lock(&fixture.target, "study/zurich", "mallory@zurich").await;
    for state in ["proposed", "unlocked"] {
        let done = fixture
            .post("/v1/datasets/{name}/unlock", "study", unlock.clone(), Entries)
            .await;
        assert_eq!(done["state"], state, "{done}");
    }
    let acknowledge = "/v1/datasets/{name}/acknowledge";
    fixture
        .post_refused(acknowledge, "study", ErrorKind::NotFound, json!({}))
        .await;
    lose_answers(&fixture.target).await;
    fixture.post(acknowledge, "study", json!({}), Entries).await;
    let keep = json!({ "versions": 1 });
    fixture.post("/v1/datasets/{name}/retain", "study", keep, Entries).await;
    let order = json!({ "reason": "a test" });
    fixture.post("/v1/datasets/{name}/erase", "study", order, Entries).await;
}

/// Stores that the queries of a person are locked, as the node does.
async fn lock(target: &InProcessNode, key: &'static str, person: &'static str) {
    let node = target.node.clone();
    let work = move || {
        let locks: SealedTree<Value> = node.storage().meta().tree(TreeId::new("release-locks")).unwrap();
        locks.put(key, &json!({ person: now().as_millis() })).unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

/// Notes that the state is an older copy, as a restore does.
async fn lose_answers(target: &InProcessNode) {
    let node = target.node.clone();
    let work = move || note_older_copy(node.storage().meta(), now()).unwrap();
    tokio::task::spawn_blocking(work).await.unwrap();
}
