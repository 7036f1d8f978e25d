//! What is done to collections of several datasets.

use serde_json::json;

use super::fixture::{ApiFixture, Leaves};

pub(super) async fn all(fixture: &mut ApiFixture) {
    use Leaves::{Entries, Nothing};
    std::fs::create_dir(fixture.socket.path().join("clinic")).unwrap();
    fixture.file("clinic/person.csv", "person_id,sex\n1,f\n2,m\n");
    fixture.file("clinic/visit.csv", "visit_id,person_id\n10,2\n");
    let template = "template = 1\nname = \"clinic\"\n[subject]\ndataset = \"person\"\ncolumn = \"person_id\"\n\
                    [datasets.person]\nkind = \"keyed\"\nunique = true\n[datasets.visit]\nkind = \"keyed\"\n";
    let import = json!({ "mode": "create", "template": { "text": template } });
    fixture
        .post("/v1/collections/{name}/import", "clinic", import, Entries)
        .await;
    let classes = "template = 1\nname = \"clinic\"\n[datasets.\"*\".columns]\n\"*\" = { class = \"ordinary\" }\n";
    let rules = json!({ "template": classes });
    fixture
        .post("/v1/collections/{name}/rules", "clinic", rules, Entries)
        .await;
    for route in ["/v1/collections/{name}/publish", "/v1/collections/{name}/withdraw"] {
        fixture.post(route, "clinic", json!({}), Entries).await;
    }
    fixture
        .post("/v1/collections/{name}/verify", "clinic", json!({}), Nothing)
        .await;
    let keep = json!({ "versions": 1 });
    fixture
        .post("/v1/collections/{name}/retain", "clinic", keep, Entries)
        .await;
    let order = json!({ "reason": "a test" });
    fixture
        .post("/v1/collections/{name}/erase", "clinic", order, Entries)
        .await;
}
