//! Every change that a person makes through the API is recorded in the ledger under that person's name.
//!
//! The steps below are compared with the route table: a route that accepts POST and is not used here fails the test, so a new route
//! has to declare what it records. Two people with all roles take turns, so recording a constant name does not pass either.

mod collections;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_client::{Client, Folder, Reading};
use concordat_keys::Secret;
use concordat_node::config::ImportSection;
use concordat_node::{Api, SessionToken, Shutdown, Training, routes, serve};
use concordat_protocol::audit::{Cause, EntryBody, LedgerEntry};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::{ActorId, CollectionName, DatasetName};
use concordat_protocol::membership::{ValidEnrollment, admit, from_file, to_armor};
use concordat_protocol::query::Role;
use concordat_protocol::scope::Tier;
use concordat_protocol::text::Text;
use concordat_storage::answers::note_older_copy;
use concordat_storage::meta::{SealedTree, TreeId};
use concordat_tests::tester;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::malicious_peer::{MaliciousPeer, cosign, now, soon};
use super::well_behaved::{InProcessNode, column};

const PASSWORD: &str = "correct horse battery staple";
/// A public key that belongs to no user of this test.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// What a step leaves in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// At least one entry, by the person who made the request.
    Entries,
    /// No entry by any person of this node: it changes nothing.
    Nothing,
}

/// A node behind its API, and its two users.
struct ApiFixture {
    target: InProcessNode,
    socket: TempDir,
    people: [(ActorId, Client); 2],
    turns: usize,
    /// The routes that were used, as the route table writes them.
    used: BTreeSet<&'static str>,
    _stop: Shutdown,
}

impl ApiFixture {
    async fn open(target: InProcessNode) -> Self {
        let socket = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(socket.path().join("run")).unwrap();
        let mut stop = Shutdown::new();
        let stage = stop.stage("api", Duration::from_secs(1));
        serve(
            Api::new(target.node.clone(), ImportSection::default()),
            socket.path(),
            &stage,
        )
        .unwrap();
        add_people(&target).await;
        let mut used = BTreeSet::new();
        let mut people = Vec::new();
        for name in ["anna", "bert"] {
            let before = target.node.ledger().size();
            let body = json!({ "name": name, "password": PASSWORD });
            let answer: Value = Client::new(socket.path()).post("/v1/login", &body).await.unwrap();
            let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
            let actor = ActorId::at(name, target.id()).unwrap();
            assert_by(&target, before, &actor, Leaves::Entries, "/v1/login");
            people.push((actor, Client::new(socket.path()).with_token(Some(token.expose()))));
        }
        used.insert("/v1/login");
        Self {
            target,
            socket,
            people: people.try_into().unwrap(),
            turns: 0,
            used,
            _stop: stop,
        }
    }

    /// The next of the two users posts `body` to `route`, with `name` in place of the path parameter.
    async fn post(&mut self, route: &'static str, name: &str, body: Value, leaves: Leaves) -> Value {
        let (actor, client) = &self.people[self.turns % 2];
        self.turns += 1;
        self.used.insert(route);
        let path = filled(route, name);
        let before = self.target.node.ledger().size();
        let answer = match route {
            "/v1/datasets/{name}/import" => {
                let file = Reading::open(&self.socket.path().join("study.csv"), |_| ()).unwrap();
                let mut lines = client.upload(&path, &body, Some(file)).await.unwrap();
                let mut last = Value::Null;
                while let Some(event) = lines.next().await.unwrap() {
                    last = serde_json::to_value(event).unwrap();
                }
                last
            }
            "/v1/collections/{name}/import" => {
                let folder = Folder::open(&self.socket.path().join("clinic"), |_| true, |_| ()).unwrap();
                let mut body = body;
                body["files"] = serde_json::to_value(folder.files()).unwrap();
                let mut lines = client.upload_folder(&path, &body, Some(folder)).await.unwrap();
                let mut last = Value::Null;
                while let Some(event) = lines.next_of_collection().await.unwrap() {
                    last = serde_json::to_value(event).unwrap();
                }
                last
            }
            "/v1/imports/inspect" => {
                let file = Reading::open(&self.socket.path().join("study.csv"), |_| ()).unwrap();
                client.upload_for(&path, &body, Some(file)).await.unwrap()
            }
            "/v1/query" => {
                let mut answer = client.raw(&path, &body).await.unwrap();
                let length = async {
                    let mut length = 0;
                    while let Some(bytes) = answer.next().await.unwrap() {
                        length += bytes.len();
                    }
                    length
                };
                Value::from(soon(length).await)
            }
            _ => soon(client.post(&path, &body))
                .await
                .unwrap_or_else(|problem| panic!("{path}: {problem:?}")),
        };
        assert_by(&self.target, before, actor, leaves, route);
        if route == "/v1/password" {
            // The user's sessions have ended; this is the new one.
            let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
            let index = (self.turns - 1) % 2;
            self.people[index].1 = Client::new(self.socket.path()).with_token(Some(token.expose()));
        }
        answer
    }

    /// The next of the two users posts a change to something that does not exist, which leaves no entry.
    async fn post_not_found(&mut self, route: &'static str, body: Value) {
        self.post_refused(route, "", ErrorKind::NotFound, body).await;
    }

    /// Like [`ApiFixture::post_not_found`], with a name and another refusal code.
    async fn post_refused(&mut self, route: &'static str, name: &str, code: ErrorKind, body: Value) {
        let (actor, client) = &self.people[self.turns % 2];
        self.turns += 1;
        self.used.insert(route);
        let before = self.target.node.ledger().size();
        let answer: Result<Value, _> = client.post(&filled(route, name), &body).await;
        assert_eq!(answer.unwrap_err().code, code, "{route}");
        assert_by(&self.target, before, actor, Leaves::Nothing, route);
    }

    async fn get(&self, path: &str) -> Value {
        self.people[0].1.get(path).await.unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.socket.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn filled(route: &str, name: &str) -> String {
    let varying = route
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)));
    varying.map_or_else(|| route.to_owned(), |(before, after)| format!("{before}{name}{after}"))
}

/// Adds two users with all roles and valid training.
async fn add_people(target: &InProcessNode) {
    let node = target.node.clone();
    let work = move || {
        for name in ["anna", "bert"] {
            let secret = Secret::from(PASSWORD.to_owned());
            node.accounts()
                .add(name, BTreeSet::from(Role::ALL), &secret, now())
                .unwrap();
            let training = Training {
                name: Text::new("data-protection").unwrap(),
                until: now().plus_seconds(86_400),
            };
            let change = node.accounts().training(name, training, now()).unwrap();
            node.accounts().make(change).unwrap();
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[track_caller]
fn assert_by(target: &InProcessNode, before: u64, actor: &ActorId, leaves: Leaves, route: &str) {
    let entries = target.node.ledger().range(before, u64::MAX).unwrap();
    let own = entries.iter().filter(|stored| by_local_user(&stored.entry));
    let causes: Vec<&Cause> = own.map(|stored| &stored.entry.cause).collect();
    let caller = Cause::Person { actor: actor.clone() };
    let as_second = |cause: &Cause| matches!(cause, Cause::TwoPeople { second, .. } if second == actor);
    assert!(
        causes.iter().all(|cause| **cause == caller || as_second(cause)),
        "{route} by {actor} left entries by {causes:?}"
    );
    match leaves {
        Leaves::Entries => assert!(!causes.is_empty(), "{route} by {actor} left no entry under that name"),
        Leaves::Nothing => assert!(causes.is_empty(), "{route} left entries: {causes:?}"),
    }
}

/// Messages of peers, and steps that both sides take after a decision of their users, may be recorded at any moment.
fn by_local_user(entry: &LedgerEntry) -> bool {
    match &entry.cause {
        Cause::Person { .. } | Cause::TwoPeople { .. } | Cause::OsAccount { .. } => true,
        Cause::Peer { .. } => false,
        Cause::Node { .. } => !matches!(
            entry.body,
            EntryBody::NegotiationStep { .. } | EntryBody::GrantChanged { .. }
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_that_changes_state_is_recorded_for_its_caller() {
    let (holder, consumer) = tokio::join!(
        InProcessNode::start("cleveland", "US"),
        InProcessNode::start("budapest", "HU")
    );
    holder.import().await;
    let mut holder = ApiFixture::open(holder).await;
    let mut consumer = ApiFixture::open(consumer).await;

    people(&mut holder).await;
    consortium(&mut holder, &mut consumer).await;
    datasets(&mut holder).await;
    collections::all(&mut holder).await;
    keys_and_backups(&mut holder).await;
    grants(&mut holder, &mut consumer).await;
    policies(&mut holder).await;
    holder.post("/v1/logout", "", json!({}), Leaves::Nothing).await;

    let used: BTreeSet<&str> = holder.used.union(&consumer.used).copied().collect();
    assert_eq!(
        used,
        posts(holder.socket.path()).await,
        "the table and the routes differ"
    );
}

/// A policy set that needs two people is proposed by one and approved by the other.
async fn policies(fixture: &mut ApiFixture) {
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

/// The routes that accept POST, found by trying each.
async fn posts(socket: &Path) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for route in routes() {
        let anonymous = Client::new(socket);
        let answer: Result<Value, _> = anonymous.post(&filled(route.path, "x"), &json!({})).await;
        // A path that does not accept POST answers without a problem document, which the client cannot read.
        if answer.unwrap_err().code != ErrorKind::Internal {
            found.insert(route.path);
        }
    }
    found
}

async fn people(fixture: &mut ApiFixture) {
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

async fn consortium(holder: &mut ApiFixture, consumer: &mut ApiFixture) {
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

async fn datasets(fixture: &mut ApiFixture) {
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

async fn keys_and_backups(fixture: &mut ApiFixture) {
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

async fn grants(holder: &mut ApiFixture, consumer: &mut ApiFixture) {
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
