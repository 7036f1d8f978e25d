//! A node behind its API with two users, whose changes are compared with the entries of the ledger.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use concordat_client::{Client, Folder, Reading};
use concordat_keys::Secret;
use concordat_node::config::ImportSection;
use concordat_node::{Api, SessionToken, Shutdown, Training, serve};
use concordat_protocol::audit::{Cause, EntryBody, LedgerEntry};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::Role;
use concordat_protocol::text::Text;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::adversary::malicious_peer::{now, soon};
use crate::adversary::well_behaved::InProcessNode;

/// The password of each user.
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// What a step leaves in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// At least one entry, by the person who made the request.
    Entries,
    /// No entry by any person of this node: it changes nothing.
    Nothing,
}

/// A node behind its API, and its two users.
pub(super) struct ApiFixture {
    pub(super) target: InProcessNode,
    pub(super) socket: TempDir,
    pub(super) people: [(ActorId, Client); 2],
    turns: usize,
    /// The routes that were used, as the route table writes them.
    pub(super) used: BTreeSet<&'static str>,
    _stop: Shutdown,
}

impl ApiFixture {
    pub(super) async fn open(target: InProcessNode) -> Self {
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
    pub(super) async fn post(&mut self, route: &'static str, name: &str, body: Value, leaves: Leaves) -> Value {
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
    pub(super) async fn post_not_found(&mut self, route: &'static str, body: Value) {
        self.post_refused(route, "", ErrorKind::NotFound, body).await;
    }

    /// Like [`ApiFixture::post_not_found`], with a name and another refusal code.
    pub(super) async fn post_refused(&mut self, route: &'static str, name: &str, code: ErrorKind, body: Value) {
        let (actor, client) = &self.people[self.turns % 2];
        self.turns += 1;
        self.used.insert(route);
        let before = self.target.node.ledger().size();
        let answer: Result<Value, _> = client.post(&filled(route, name), &body).await;
        assert_eq!(answer.unwrap_err().code, code, "{route}");
        assert_by(&self.target, before, actor, Leaves::Nothing, route);
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.people[0].1.get(path).await.unwrap()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.socket.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub(super) fn filled(route: &str, name: &str) -> String {
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
