//! What is done to keys, backups and the ledger.

use concordat_protocol::error_kind::ErrorKind;
use serde_json::json;

use super::fixture::{ApiFixture, Leaves};

/// A public key that belongs to no user of this test.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

pub(super) async fn all(fixture: &mut ApiFixture) {
    use Leaves::{Entries, Nothing};
    let segment = fixture.get("/v1/keys").await["items"][0]["segment"].clone();
    for which in [
        json!({ "master": {} }),
        json!({ "segment": { "segment": segment } }),
        json!({ "dataset": { "dataset": "heart" } }),
    ] {
        fixture.post("/v1/keys/rotate", "", which, Entries).await;
    }
    let recipients = json!({ "recipients": [RECIPIENT] });
    fixture.post("/v1/keys/backup", "", recipients, Entries).await;
    let to = fixture.socket.path().join("backups");
    fixture.post("/v1/backups", "", json!({ "to": to }), Entries).await;
    fixture.post("/v1/audit/verify", "", json!({}), Nothing).await;
    let reason = json!({ "reason": "a test" });
    fixture
        .post_refused(
            "/v1/audit/queries/{query}/write-off",
            "00000000",
            ErrorKind::NotFound,
            reason,
        )
        .await;
}
