//! What is done to grants, and queries under them.

use std::time::Duration;

use serde_json::json;

use super::fixture::{ApiFixture, Leaves};

pub(super) async fn all(holder: &mut ApiFixture, consumer: &mut ApiFixture) {
    use Leaves::{Entries, Nothing};
    let id = request(consumer).await;
    holder.post("/v1/grants/{id}/offer", &id, json!({}), Entries).await;
    consumer.post("/v1/grants/{id}/accept", &id, json!({}), Entries).await;
    // The node has signed the agreement that followed the acceptance by itself.
    consumer.post("/v1/grants/{id}/verify", &id, json!({}), Nothing).await;
    let why = json!({ "subject": id });
    consumer.post("/v1/why", "", why, Nothing).await;
    let sql = json!({ "sql": "SELECT age FROM cleveland.heart" });
    consumer.post("/v1/query", "", sql.clone(), Entries).await;
    consumer.post("/v1/query/estimate", "", sql, Nothing).await;
    let reason = json!({ "reason": "a test" });
    for route in ["/v1/grants/{id}/suspend", "/v1/grants/{id}/resume"] {
        holder.post(route, &id, reason.clone(), Entries).await;
    }
    consumer
        .post("/v1/grants/{id}/relinquish", &id, reason.clone(), Entries)
        .await;

    let id = request(consumer).await;
    holder
        .post("/v1/grants/{id}/reject", &id, reason.clone(), Entries)
        .await;

    let id = request(consumer).await;
    holder.post("/v1/grants/{id}/offer", &id, json!({}), Entries).await;
    consumer.post("/v1/grants/{id}/accept", &id, json!({}), Entries).await;
    holder.post("/v1/grants/{id}/revoke", &id, reason, Entries).await;
}

/// Requests access to the heart data once the two nodes know each other, and returns the id of the negotiation.
async fn request(fixture: &mut ApiFixture) -> String {
    while fixture.get("/v1/catalog").await["items"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let request = json!({ "columns": ["age", "sex"], "purposes": ["health-research"], "until": "2027-06-30" });
    let body = json!({ "dataset": { "institution": "cleveland", "dataset": "heart" }, "request": request });
    let requested = fixture.post("/v1/grants/request", "", body, Leaves::Entries).await;
    requested["id"].as_str().unwrap().to_owned()
}
