//! What is done to accounts.

use concordat_protocol::error_kind::ErrorKind;
use serde_json::{Value, json};

use super::fixture::{ApiFixture, Leaves, PASSWORD};

pub(super) async fn all(fixture: &mut ApiFixture) {
    use Leaves::Entries;
    let carl = json!({ "name": "carl", "roles": ["researcher"], "password": PASSWORD });
    fixture.post("/v1/users", "", carl, Entries).await;
    let roles = json!({ "roles": ["steward"] });
    fixture.post("/v1/users/{name}/roles", "carl", roles, Entries).await;
    for enabled in [false, true] {
        let access = json!({ "enabled": enabled });
        fixture.post("/v1/users/{name}/access", "carl", access, Entries).await;
    }
    let password = json!({ "password": "another horse battery staple" });
    fixture
        .post("/v1/users/{name}/password", "carl", password, Entries)
        .await;
    let training = json!({ "name": "GCP", "until": "2099-12-31" });
    let own = json!({ "current": PASSWORD, "password": "yet another horse battery" });
    fixture.post("/v1/password", "", own, Entries).await;
    fixture
        .post("/v1/users/{name}/training", "carl", training, Entries)
        .await;
    people_refused(fixture).await;
}

/// A change that is refused leaves no entry, which would claim that it was made.
async fn people_refused(fixture: &mut ApiFixture) {
    let dora = |roles: Value, password: &str| json!({ "name": "dora", "roles": roles, "password": password });
    for (route, name, body) in [
        ("/v1/users", "", dora(json!(["auditor"]), "short")),
        ("/v1/users", "", dora(json!([]), PASSWORD)),
        ("/v1/users/{name}/roles", "carl", json!({ "roles": [] })),
        ("/v1/users/{name}/password", "carl", json!({ "password": "short" })),
        (
            "/v1/users/{name}/training",
            "carl",
            json!({ "name": "GCP", "until": "2020-01-01" }),
        ),
    ] {
        fixture.post_refused(route, name, ErrorKind::Usage, body).await;
    }
    let access = json!({ "enabled": false });
    fixture
        .post_refused("/v1/users/{name}/access", "dora", ErrorKind::NotFound, access)
        .await;
}
