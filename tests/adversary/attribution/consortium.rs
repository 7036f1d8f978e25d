//! What is done to the consortium: its members, its roster and its charter.

use std::time::Duration;

use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::membership::{ValidEnrollment, admit, from_file, to_armor};
use concordat_tests::tester;
use serde_json::{Value, json};

use super::fixture::{ApiFixture, Leaves};
use crate::adversary::malicious_peer::{MaliciousPeer, cosign, now};
use crate::adversary::well_behaved::InProcessNode;

pub(super) async fn all(holder: &mut ApiFixture, consumer: &mut ApiFixture) {
    use Leaves::Entries;
    let name = json!({ "name": "Heart Study" });
    holder.post("/v1/consortium/found", "", name, Entries).await;
    let file = |armor: &str| json!({ "file": data_encoding(armor) });
    let enrollment = consumer.get("/v1/consortium/enrollment").await;
    let enrollment = file(enrollment["armor"].as_str().unwrap());
    holder.post("/v1/consortium/members", "", enrollment, Entries).await;
    let zurich = file(&MaliciousPeer::start("zurich", 3).enrollment());
    holder.post("/v1/consortium/members", "", zurich, Entries).await;
    let other = MaliciousPeer::start("zurich", 5);
    let mut replaced = file(&other.enrollment());
    replaced["replace_key"] = json!(true);
    holder.post("/v1/consortium/members", "", replaced, Entries).await;
    let confirmed = json!({ "fingerprint": other.institution_key.public().fingerprint() });
    holder
        .post(
            "/v1/consortium/members/{institution}/confirm-key",
            "zurich",
            confirmed,
            Entries,
        )
        .await;
    let empty = json!({});
    holder
        .post("/v1/consortium/members/{institution}/remove", "zurich", empty, Entries)
        .await;
    let roster = holder.get("/v1/consortium/roster").await;
    let roster = file(roster["armor"].as_str().unwrap());
    let copy = roster.clone();
    holder
        .post("/v1/consortium/enrollment", "", copy, Leaves::Nothing)
        .await;
    consumer.post("/v1/consortium/join", "", roster, Entries).await;
    let next = file(&next_roster(&holder.target));
    holder.post("/v1/consortium/roster/import", "", next, Entries).await;
    let next = file(&next_roster(&holder.target));
    let next = reviewed(holder, "/v1/consortium/roster/review", next).await;
    holder.post("/v1/consortium/roster/sign", "", next, Entries).await;
    charter(holder, consumer).await;
    // No key was replaced; `keys` checks who confirms a replaced one.
    let key = json!({ "fingerprint": "0000" });
    let confirm = "/v1/consortium/members/{institution}/confirm-key";
    holder.post_refused(confirm, "zurich", ErrorKind::Usage, key).await;
    // No ledger was rolled back; `ledgers` checks who is recorded if one was.
    let head = json!({ "institution": "budapest", "head": "00" });
    holder.post_not_found("/v1/consortium/ledgers/acknowledge", head).await;
    let head = json!({ "head": "00" });
    holder
        .post_not_found("/v1/consortium/ledgers/acknowledge-own", head)
        .await;
}

/// The charter gets two holders, and a further change of it is proposed by one and signed by the other.
async fn charter(holder: &mut ApiFixture, consumer: &mut ApiFixture) {
    use Leaves::Entries;
    let file = |value: &Value, field: &str| json!({ "file": data_encoding(value[field].as_str().unwrap()) });
    let present = json!({ "threshold": 1, "holders": ["cleveland"] });
    holder
        .post_refused("/v1/consortium/charter", "", ErrorKind::Usage, present)
        .await;
    let both = json!({ "threshold": 2, "holders": ["cleveland", "budapest"] });
    let proposed = holder.post("/v1/consortium/charter", "", both, Entries).await;
    let proposed = file(&proposed, "proposal");
    let proposed = reviewed(consumer, "/v1/consortium/roster/review", proposed).await;
    consumer.post("/v1/consortium/roster/sign", "", proposed, Entries).await;
    let roster = consumer.target.roster();
    let imported = holder.target.node.membership().import(roster, &tester()).await.unwrap();
    assert_eq!(imported.roster().charter.threshold(), 2);
    let alone = json!({ "threshold": 1, "holders": ["cleveland"] });
    let proposed = holder.post("/v1/consortium/charter", "", alone, Entries).await;
    assert_eq!(
        (&proposed["kind"], &proposed["signatures"]),
        (&json!("charter"), &json!(1))
    );
    let proposed = file(&proposed, "proposal");
    let proposed = reviewed(consumer, "/v1/consortium/charter/review", proposed).await;
    consumer
        .post("/v1/consortium/charter/sign", "", proposed, Entries)
        .await;
}

/// The document with the digest of its review.
async fn reviewed(fixture: &mut ApiFixture, path: &'static str, mut document: Value) -> Value {
    let review = fixture.post(path, "", document.clone(), Leaves::Nothing).await;
    document["expect"] = review["digest"].clone();
    document
}

/// The roster after the current one, signed with the charter key as if on another machine.
fn next_roster(founder: &InProcessNode) -> String {
    let applicant = MaliciousPeer::start("basel", 7).enrollment();
    let applicant = ValidEnrollment::check(from_file(applicant.as_bytes()).unwrap(), now()).unwrap();
    let current = founder.node.membership().newest().unwrap();
    let next = admit(current.roster(), &applicant, now(), Duration::from_secs(86_400)).unwrap();
    to_armor(&cosign(&next, &[&founder.node.identity().institution_key()]))
}

fn data_encoding(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}
