//! What is done to the policy set.

use serde_json::json;

use super::fixture::{ApiFixture, Leaves};

/// A policy set that needs two people is proposed by one and approved by the other.
pub(super) async fn all(fixture: &mut ApiFixture) {
    let shown = fixture.get("/v1/policy").await;
    let sources = json!({ "files": shown["files"], "settings": { "two_people": true } });
    let checked = fixture
        .post("/v1/policy/check", "", sources.clone(), Leaves::Nothing)
        .await;
    let case = json!({
        "class": "direct-identifier", "tier": "records", "purpose": "health-research", "reveal": "clear", "expect": "deny",
    });
    let tried = json!({ "sources": sources, "cases": [case] });
    fixture.post("/v1/policy/test", "", tried, Leaves::Nothing).await;
    let sides = json!({ "from": "current", "to": { "sources": sources } });
    fixture.post("/v1/policy/diff", "", sides, Leaves::Nothing).await;
    let expect = checked["digest"].clone();
    let set = json!({ "sources": sources, "expect": expect });
    fixture.post("/v1/policy/apply", "", set, Leaves::Entries).await;
    let approved = fixture
        .post("/v1/policy/approve", "", json!({ "expect": expect }), Leaves::Entries)
        .await;
    assert_eq!(approved["number"], 2, "{approved}");
    fixture
        .post("/v1/policy/rollback", "", json!({ "number": 1 }), Leaves::Entries)
        .await;
}
