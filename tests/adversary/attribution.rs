//! Every change that a person makes through the API stands in the ledger under that person's name.
//!
//! The table below is held against the route table: a route that takes a POST and is not in it fails the test, so a new one has
//! to say what it enters. Two people with all roles take turns, so a name that is always the same does not pass either.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_node::api::client::{Client, Reading};
use concordat_node::api::{Api, routes, serve};
use concordat_node::config::ImportSection;
use concordat_node::fault::Code;
use concordat_node::iam::{SessionToken, Training};
use concordat_node::shutdown::Shutdown;
use concordat_protocol::audit::{Cause, EntryBody, LedgerEntry};
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::ActorId;
use concordat_protocol::membership::{ValidEnrolment, admit, from_file, to_armour};
use concordat_protocol::query::Role;
use concordat_protocol::text::Text;
use concordat_storage::keys::Secret;
use concordat_tests::tester;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::honest::{House, column};
use super::rogue::{Rogue, cosign, now, soon};

const PASSWORD: &str = "correct horse battery staple";
/// A public half that belongs to nobody here.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// What a step leaves in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// At least one entry, by the person who took the step.
    Entries,
    /// Nothing by anybody here: it changes nothing.
    Nothing,
}

/// A house behind its API, and the two people there.
struct Desk {
    house: House,
    socket: TempDir,
    people: [(ActorId, Client); 2],
    turns: usize,
    /// The routes that were used, as the route table writes them.
    used: BTreeSet<&'static str>,
    _stop: Shutdown,
}

impl Desk {
    async fn open(house: House) -> Self {
        let socket = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(socket.path().join("run")).unwrap();
        let mut stop = Shutdown::new();
        let stage = stop.stage("api", Duration::from_secs(1));
        serve(
            Api::new(house.node.clone(), ImportSection::default()),
            socket.path(),
            &stage,
        )
        .unwrap();
        add_people(&house).await;
        let mut used = BTreeSet::new();
        let mut people = Vec::new();
        for name in ["anna", "bert"] {
            let before = house.node.ledger().size();
            let body = json!({ "name": name, "password": PASSWORD });
            let answer: Value = Client::new(socket.path()).post("/v1/login", &body).await.unwrap();
            let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
            let actor = ActorId::at(name, house.id()).unwrap();
            assert_by(&house, before, &actor, Leaves::Entries, "/v1/login");
            people.push((actor, Client::new(socket.path()).with_token(Some(token.expose()))));
        }
        used.insert("/v1/login");
        Self {
            house,
            socket,
            people: people.try_into().unwrap(),
            turns: 0,
            used,
            _stop: stop,
        }
    }

    /// The next of the two posts `body` to `route`, with `name` in the place of what varies.
    async fn post(&mut self, route: &'static str, name: &str, body: Value, leaves: Leaves) -> Value {
        let (actor, client) = &self.people[self.turns % 2];
        self.turns += 1;
        self.used.insert(route);
        let path = filled(route, name);
        let before = self.house.node.ledger().size();
        let answer = match route {
            "/v1/datasets/{name}/import" => {
                let file = Reading::open(&self.socket.path().join("study.csv"), |_| ()).unwrap();
                let mut lines = client.upload(&path, &body, Some(file)).await.unwrap();
                let mut last = Value::Null;
                while let Some(line) = lines.next().await.unwrap() {
                    last = line;
                }
                last
            }
            "/v1/query" => {
                use http_body_util::BodyExt as _;
                let answer = client.raw(&path, &body).await.unwrap();
                let bytes = soon(answer.collect()).await.unwrap().to_bytes();
                Value::from(bytes.len())
            }
            _ => soon(client.post(&path, &body))
                .await
                .unwrap_or_else(|problem| panic!("{path}: {problem:?}")),
        };
        assert_by(&self.house, before, actor, leaves, route);
        if route == "/v1/password" {
            // Their sessions have ended; this is the new one.
            let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
            let index = (self.turns - 1) % 2;
            self.people[index].1 = Client::new(self.socket.path()).with_token(Some(token.expose()));
        }
        answer
    }

    /// The next of the two posts what there is nothing of to change, which leaves nothing.
    async fn post_in_vain(&mut self, route: &'static str, body: Value) {
        self.post_refused(route, "", Code::NotFound, body).await;
    }

    /// As [`Desk::post_in_vain`], of something by its name and refused for another reason.
    async fn post_refused(&mut self, route: &'static str, name: &str, code: Code, body: Value) {
        let (actor, client) = &self.people[self.turns % 2];
        self.turns += 1;
        self.used.insert(route);
        let before = self.house.node.ledger().size();
        let answer: Result<Value, _> = client.post(&filled(route, name), &body).await;
        assert_eq!(answer.unwrap_err().code, code, "{route}");
        assert_by(&self.house, before, actor, Leaves::Nothing, route);
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

/// Two people who may do everything, and whose training holds.
async fn add_people(house: &House) {
    let node = house.node.clone();
    let work = move || {
        for name in ["anna", "bert"] {
            let secret = Secret::from(PASSWORD.to_owned());
            node.accounts()
                .add(name, BTreeSet::from(Role::ALL), &secret, now())
                .unwrap();
            let training = Training {
                name: Text::new("data protection").unwrap(),
                until: now().plus_seconds(86_400),
            };
            node.accounts().record_training(name, training, now()).unwrap();
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[track_caller]
fn assert_by(house: &House, before: u64, actor: &ActorId, leaves: Leaves, route: &str) {
    let entries = house.node.ledger().range(before, u64::MAX).unwrap();
    let own = entries.iter().filter(|stored| by_somebody_here(&stored.entry));
    let causes: Vec<&Cause> = own.map(|stored| &stored.entry.cause).collect();
    let caller = Cause::Person { actor: actor.clone() };
    let as_second = |cause: &Cause| matches!(cause, Cause::TwoPeople { second, .. } if second == actor);
    assert!(
        causes.iter().all(|cause| **cause == caller || as_second(cause)),
        "{route} by {actor} left entries by {causes:?}"
    );
    match leaves {
        Leaves::Entries => assert!(!causes.is_empty(), "{route} by {actor} left no entry in that name"),
        Leaves::Nothing => assert!(causes.is_empty(), "{route} left entries: {causes:?}"),
    }
}

/// What peers send, and what both sides do once people have decided, may come at any moment.
fn by_somebody_here(entry: &LedgerEntry) -> bool {
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
async fn every_route_enters_what_it_changes_under_the_callers_name() {
    let (holder, asking) = tokio::join!(House::start("cleveland", "US"), House::start("budapest", "HU"));
    holder.import().await;
    let mut holder = Desk::open(holder).await;
    let mut asking = Desk::open(asking).await;

    people(&mut holder).await;
    consortium(&mut holder, &mut asking).await;
    datasets(&mut holder).await;
    keys_and_backups(&mut holder).await;
    grants(&mut holder, &mut asking).await;
    policies(&mut holder).await;
    holder.post("/v1/logout", "", json!({}), Leaves::Nothing).await;

    let used: BTreeSet<&str> = holder.used.union(&asking.used).copied().collect();
    assert_eq!(
        used,
        posts(holder.socket.path()).await,
        "the table and the routes differ"
    );
}

/// A set that needs two people is proposed by one, approved by the other.
async fn policies(desk: &mut Desk) {
    let shown = desk.get("/v1/policy").await;
    let sources = json!({ "files": shown["files"], "settings": { "two_people": true } });
    let checked = desk
        .post("/v1/policy/check", "", sources.clone(), Leaves::Nothing)
        .await;
    let case = json!({
        "class": "direct-identifier", "tier": "records", "purpose": "health-research", "reveal": "clear", "expect": "deny",
    });
    let tried = json!({ "sources": sources, "cases": [case] });
    desk.post("/v1/policy/test", "", tried, Leaves::Nothing).await;
    let sides = json!({ "from": "current", "to": { "sources": sources } });
    desk.post("/v1/policy/diff", "", sides, Leaves::Nothing).await;
    let expect = checked["digest"].clone();
    let set = json!({ "sources": sources, "expect": expect });
    desk.post("/v1/policy/apply", "", set, Leaves::Entries).await;
    let approved = desk
        .post("/v1/policy/approve", "", json!({ "expect": expect }), Leaves::Entries)
        .await;
    assert_eq!(approved["number"], 2, "{approved}");
    desk.post("/v1/policy/rollback", "", json!({ "number": 1 }), Leaves::Entries)
        .await;
}

/// The routes that take a POST, found by trying.
async fn posts(socket: &Path) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for route in routes() {
        let nobody = Client::new(socket);
        let answer: Result<Value, _> = nobody.post(&filled(route.path, "x"), &json!({})).await;
        // A path that takes no POST says so without a document, which the client cannot read.
        if answer.unwrap_err().code != Code::Fault {
            found.insert(route.path);
        }
    }
    found
}

async fn people(desk: &mut Desk) {
    use Leaves::Entries;
    let carl = json!({ "name": "carl", "roles": ["researcher"], "password": PASSWORD });
    desk.post("/v1/users", "", carl, Entries).await;
    let roles = json!({ "roles": ["steward"] });
    desk.post("/v1/users/{name}/roles", "carl", roles, Entries).await;
    for enabled in [false, true] {
        let access = json!({ "enabled": enabled });
        desk.post("/v1/users/{name}/access", "carl", access, Entries).await;
    }
    let password = json!({ "password": "another horse battery staple" });
    desk.post("/v1/users/{name}/password", "carl", password, Entries).await;
    let training = json!({ "name": "GCP", "until": "2099-12-31" });
    let own = json!({ "current": PASSWORD, "password": "yet another horse battery" });
    desk.post("/v1/password", "", own, Entries).await;
    desk.post("/v1/users/{name}/training", "carl", training, Entries).await;
}

async fn consortium(holder: &mut Desk, asking: &mut Desk) {
    use Leaves::Entries;
    let name = json!({ "name": "Heart Study" });
    holder.post("/v1/consortium/found", "", name, Entries).await;
    let file = |armour: &str| json!({ "file": data_encoding(armour) });
    let enrolment = asking.get("/v1/consortium/enrolment").await;
    let enrolment = file(enrolment["armour"].as_str().unwrap());
    holder.post("/v1/consortium/members", "", enrolment, Entries).await;
    let zurich = file(&Rogue::start("zurich", 3).enrolment());
    holder.post("/v1/consortium/members", "", zurich, Entries).await;
    let other = Rogue::start("zurich", 5);
    let mut replaced = file(&other.enrolment());
    replaced["replace_key"] = json!(true);
    holder.post("/v1/consortium/members", "", replaced, Entries).await;
    let confirmed = json!({ "fingerprint": other.house.public().fingerprint() });
    holder
        .post(
            "/v1/consortium/members/{institution}/confirm-key",
            "zurich",
            confirmed,
            Entries,
        )
        .await;
    let none = json!({});
    holder
        .post("/v1/consortium/members/{institution}/remove", "zurich", none, Entries)
        .await;
    let roster = holder.get("/v1/consortium/roster").await;
    let roster = file(roster["armour"].as_str().unwrap());
    let beside = roster.clone();
    holder
        .post("/v1/consortium/enrolment", "", beside, Leaves::Nothing)
        .await;
    asking.post("/v1/consortium/join", "", roster, Entries).await;
    let next = file(&next_roster(&holder.house));
    holder.post("/v1/consortium/roster/import", "", next, Entries).await;
    let next = file(&next_roster(&holder.house));
    let next = reviewed(holder, "/v1/consortium/roster/review", next).await;
    holder.post("/v1/consortium/roster/sign", "", next, Entries).await;
    charter(holder, asking).await;
    // Nobody's key was replaced; `keys` looks at who confirms one that was.
    let key = json!({ "fingerprint": "0000" });
    let confirm = "/v1/consortium/members/{institution}/confirm-key";
    holder.post_refused(confirm, "zurich", Code::Usage, key).await;
    // No ledger here went back; `ledgers` looks at who is named when one did.
    let head = json!({ "institution": "budapest", "head": "00" });
    holder.post_in_vain("/v1/consortium/ledgers/acknowledge", head).await;
    let head = json!({ "head": "00" });
    holder
        .post_in_vain("/v1/consortium/ledgers/acknowledge-own", head)
        .await;
}

/// The charter becomes one of two holders, and a further change of it goes from one to the other.
async fn charter(holder: &mut Desk, asking: &mut Desk) {
    use Leaves::Entries;
    let file = |value: &Value, field: &str| json!({ "file": data_encoding(value[field].as_str().unwrap()) });
    let both = json!({ "threshold": 2, "holders": ["cleveland", "budapest"] });
    let proposed = holder.post("/v1/consortium/charter", "", both, Entries).await;
    let proposed = file(&proposed, "proposal");
    let proposed = reviewed(asking, "/v1/consortium/roster/review", proposed).await;
    asking.post("/v1/consortium/roster/sign", "", proposed, Entries).await;
    let roster = asking.house.roster();
    let taken = holder.house.node.membership().import(roster, &tester()).await.unwrap();
    assert_eq!(taken.roster().charter.threshold(), 2);
    let alone = json!({ "threshold": 1, "holders": ["cleveland"] });
    let proposed = holder.post("/v1/consortium/charter", "", alone, Entries).await;
    assert_eq!(
        (&proposed["kind"], &proposed["signatures"]),
        (&json!("charter"), &json!(1))
    );
    let proposed = file(&proposed, "proposal");
    let proposed = reviewed(asking, "/v1/consortium/charter/review", proposed).await;
    asking.post("/v1/consortium/charter/sign", "", proposed, Entries).await;
}

/// The document with the digest under which its holder has reviewed it.
async fn reviewed(desk: &mut Desk, path: &'static str, mut document: Value) -> Value {
    let review = desk.post(path, "", document.clone(), Leaves::Nothing).await;
    document["expect"] = review["digest"].clone();
    document
}

/// The roster after the present one, signed with the charter key as at another place.
fn next_roster(founder: &House) -> String {
    let applicant = Rogue::start("basel", 7).enrolment();
    let applicant = ValidEnrolment::check(from_file(applicant.as_bytes()).unwrap(), now()).unwrap();
    let current = founder.node.membership().newest().unwrap();
    let next = admit(current.roster(), &applicant, now(), Duration::from_secs(86_400)).unwrap();
    to_armour(&cosign(&next, &[&founder.node.identity().institution_key()]))
}

fn data_encoding(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

async fn datasets(desk: &mut Desk) {
    use Leaves::{Entries, Nothing};
    desk.file("study.csv", "id,age\n1,40\n2,50\n");
    for mode in ["create", "append"] {
        let import = json!({ "name": "study.csv", "mode": mode, "subject_column": "id" });
        desk.post("/v1/datasets/{name}/import", "study", import, Entries).await;
    }
    let classes = json!({ "classes": { "id": "direct-identifier", column("age").as_str(): "ordinary" } });
    desk.post("/v1/datasets/{name}/classify", "study", classes, Entries)
        .await;
    let limits = json!({ "tier": "count", "limits": { "min_cell": 20 }, "sensitive": "count" });
    desk.post("/v1/datasets/{name}/limits", "study", limits, Entries).await;
    for route in ["/v1/datasets/{name}/publish", "/v1/datasets/{name}/withdraw"] {
        desk.post(route, "study", json!({}), Entries).await;
    }
    desk.post("/v1/datasets/{name}/verify", "study", json!({}), Nothing)
        .await;
    let keep = json!({ "versions": 1 });
    desk.post("/v1/datasets/{name}/retain", "study", keep, Entries).await;
    let order = json!({ "reason": "a test" });
    desk.post("/v1/datasets/{name}/erase", "study", order, Entries).await;
}

async fn keys_and_backups(desk: &mut Desk) {
    use Leaves::{Entries, Nothing};
    let segment = desk.get("/v1/keys").await["items"][0]["segment"].clone();
    for which in [
        json!({ "master": {} }),
        json!({ "segment": { "segment": segment } }),
        json!({ "dataset": { "dataset": "heart" } }),
    ] {
        desk.post("/v1/keys/rotate", "", which, Entries).await;
    }
    let recipients = json!({ "recipients": [RECIPIENT] });
    desk.post("/v1/keys/backup", "", recipients, Entries).await;
    let to = desk.socket.path().join("backups");
    desk.post("/v1/backups", "", json!({ "to": to }), Entries).await;
    desk.post("/v1/audit/verify", "", json!({}), Nothing).await;
}

async fn grants(holder: &mut Desk, asking: &mut Desk) {
    use Leaves::{Entries, Nothing};
    let id = request(asking).await;
    holder.post("/v1/grants/{id}/offer", &id, json!({}), Entries).await;
    asking.post("/v1/grants/{id}/accept", &id, json!({}), Entries).await;
    // The node has signed by itself what the acceptance led to.
    asking.post("/v1/grants/{id}/verify", &id, json!({}), Nothing).await;
    let why = json!({ "subject": id });
    asking.post("/v1/why", "", why, Nothing).await;
    let sql = json!({ "sql": "SELECT age FROM cleveland.heart" });
    asking.post("/v1/query", "", sql, Entries).await;
    let reason = json!({ "reason": "a test" });
    for route in ["/v1/grants/{id}/suspend", "/v1/grants/{id}/resume"] {
        holder.post(route, &id, reason.clone(), Entries).await;
    }
    asking
        .post("/v1/grants/{id}/relinquish", &id, reason.clone(), Entries)
        .await;

    let id = request(asking).await;
    holder
        .post("/v1/grants/{id}/reject", &id, reason.clone(), Entries)
        .await;

    let id = request(asking).await;
    holder.post("/v1/grants/{id}/offer", &id, json!({}), Entries).await;
    asking.post("/v1/grants/{id}/accept", &id, json!({}), Entries).await;
    holder.post("/v1/grants/{id}/revoke", &id, reason, Entries).await;
}

/// Asks for the heart data once the two nodes know each other, and gives the number of the negotiation.
async fn request(desk: &mut Desk) -> String {
    while desk.get("/v1/catalog").await["items"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let wish = json!({ "columns": ["age", "sex"], "purposes": ["health-research"], "until": "2027-06-30" });
    let body = json!({ "dataset": { "institution": "cleveland", "dataset": "heart" }, "wish": wish });
    let asked = desk.post("/v1/grants/request", "", body, Leaves::Entries).await;
    asked["id"].as_str().unwrap().to_owned()
}
