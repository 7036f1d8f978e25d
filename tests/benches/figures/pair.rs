//! A provider and a consumer, whole nodes in this process, with a grant for each table.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_network::Limits;
use concordat_node::{
    Actor, Clock, CountedStart, DEFAULT_MEMORY, EngineConfig, Identity, Node, RETRY_INTERVAL, Restriction, Shutdown,
    StartConfig, Training,
};
use concordat_node::{FederationError, Question};
use concordat_protocol::audit::Cause;
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::identity::{InstitutionKey, NodeKey};
use concordat_protocol::ids::{ActorId, CollectionName, ColumnName, DatasetName, GrantId, InstitutionId, Jurisdiction};
use concordat_protocol::negotiation::{Justification, StateName};
use concordat_protocol::query::Role;
use concordat_protocol::release::{ReleaseChange, TierLimits};
use concordat_protocol::scope::{
    self, Columns, Datasets, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects, Tier, Transform,
    Window,
};
use concordat_protocol::text::{ConsortiumName, LegalName, Reason, Text};
use concordat_storage::ingest::{Source, SubjectRule, TableOptions};
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::{catalog::ImportRequest, data_dir::Storage};
use concordat_tests::{make_change, tester};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::cohort::CLASSES;

/// The time limit of one step.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks for what the other node sends.
const RETRY: Duration = Duration::from_millis(10);

/// The two nodes, and a researcher at the consumer.
pub(crate) struct Pair {
    provider: Node,
    consumer: Node,
    eva: Actor,
    _running: [(TempDir, Shutdown); 2],
}

impl Pair {
    /// Starts both, forms a consortium, and negotiates a grant for each of the provider's tables.
    pub(crate) async fn start(tables: &[(&str, &Path)]) -> Self {
        let (provider, running) = start("cleveland", "US", 1).await;
        let (consumer, also_running) = start("zurich", "CH", 3).await;
        for (name, path) in tables {
            let node = provider.clone();
            let name = (*name).to_owned();
            let path = path.to_path_buf();
            tokio::task::spawn_blocking(move || import(&node, &name, path))
                .await
                .unwrap();
        }
        let founder = provider.membership();
        founder
            .found(ConsortiumName::new("Heart Study").unwrap(), &tester())
            .await
            .unwrap();
        founder
            .admit(consumer.membership().enroll(None).unwrap().as_bytes(), &tester())
            .await
            .unwrap();
        consumer
            .membership()
            .join(founder.export().unwrap().as_bytes(), &tester())
            .await
            .unwrap();
        let eva = researcher(&consumer).await;
        let pair = Self {
            provider,
            consumer,
            eva,
            _running: [running, also_running],
        };
        for (name, _) in tables {
            pair.grant(name).await;
        }
        pair
    }

    /// Reads an answer to its end: its rows, and the bytes that were transferred.
    pub(crate) async fn read(&self, sql: &str) -> (usize, u64) {
        let mut answer = self
            .consumer
            .federation()
            .query(&self.eva, &Question::new(sql))
            .await
            .unwrap();
        let mut rows = 0;
        while let Some(batch) = answer.next().await {
            rows += batch.unwrap().num_rows();
        }
        (
            rows,
            answer.summary().receipts.iter().map(|receipt| receipt.bytes).sum(),
        )
    }

    /// Reads an answer to its end, if there is one.
    pub(crate) async fn answered(&self, sql: &str) -> Result<(), FederationError> {
        let mut answer = self.consumer.federation().query(&self.eva, &Question::new(sql)).await?;
        while let Some(batch) = answer.next().await {
            batch?;
        }
        Ok(())
    }

    /// Revokes the newest grant while an answer to `sql` streams: how long the call took, and how long after it began the
    /// last rows arrived. Negotiates a new grant afterwards.
    pub(crate) async fn revoke_midway(&self, sql: &str) -> (Duration, Duration) {
        let grants = self.provider.grants().list().await;
        let grant = grants
            .iter()
            .rev()
            .find(|grant| grant.terms.scope.collection.collection.as_str() == "large")
            .unwrap()
            .terms
            .grant;
        let mut answer = self
            .consumer
            .federation()
            .query(&self.eva, &Question::new(sql))
            .await
            .unwrap();
        answer.next().await.unwrap().unwrap();
        let began = Instant::now();
        let provider = self.provider.negotiations().clone();
        let revoked = tokio::spawn(async move {
            provider
                .change_grant(
                    &grant,
                    GrantEvent::Revoke,
                    Reason::new("a measurement").unwrap(),
                    &tester(),
                )
                .await
                .unwrap();
            began.elapsed()
        });
        let mut last = Duration::ZERO;
        while let Some(Ok(_)) = answer.next().await {
            last = began.elapsed();
        }
        let returned = revoked.await.unwrap();
        self.grant("large").await;
        (returned, last)
    }

    async fn grant(&self, table: &str) -> GrantId {
        let consumer = self.consumer.negotiations();
        let provider = self.provider.negotiations();
        let justification = Justification::new("to measure").unwrap();
        let requested = consumer
            .request(everything(table), justification, &tester())
            .await
            .unwrap();
        // The request is durable here; it is sent meanwhile.
        while provider.show(&requested.id).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
        let steward = steward(&self.provider).await;
        provider
            .offer(&requested.id, &Restriction::default(), &steward)
            .await
            .unwrap();
        consumer.accept(&requested.id, &tester()).await.unwrap();
        assert_eq!(
            consumer
                .wait_until_ended(&requested.id, STEP_TIMEOUT)
                .await
                .unwrap()
                .state,
            StateName::Finalized
        );
        let id = GrantId::from(requested.id);
        let mut changes = self.consumer.epoch().watch();
        while self.consumer.grants().get(&id).await.is_none() {
            changes.changed().await.unwrap();
        }
        id
    }
}

async fn start(institution: &str, jurisdiction: &str, seed: u8) -> (Node, (TempDir, Shutdown)) {
    let dir = tempfile::tempdir().unwrap();
    let source = Passphrase::new(
        Secret::from("only to measure".to_owned()),
        Argon2Cost::dangerous_minimum(),
    );
    let storage = Storage::init(&dir.path().join("node"), &source).unwrap();
    let institution_key = InstitutionKey::from_seed(&[seed; 32].into());
    let node_key = NodeKey::from_seed(&[seed + 1; 32].into());
    storage.identities().put_institution(&institution_key).unwrap();
    storage.identities().put_node(&node_key).unwrap();
    let id = InstitutionId::new(institution).unwrap();
    let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), id.clone()).unwrap();
    let start = CountedStart::count(storage.meta()).unwrap();
    let config = StartConfig {
        identity: Identity::new(
            (
                id,
                LegalName::new(institution).unwrap(),
                Jurisdiction::new(jurisdiction).unwrap(),
            ),
            institution_key,
            node_key,
        ),
        storage,
        ledger,
        start,
        clock: Clock::system(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        dial: vec![concordat_network::DialRange::Loopback],
        announce: Vec::new(),
        limits: Limits::default(),
        password_cost: Argon2Cost::dangerous_minimum(),
        engine: EngineConfig {
            program: concordat_tests::program::path().to_owned(),
            memory: DEFAULT_MEMORY,
        },
        retry_interval: RETRY_INTERVAL,
    };
    let mut shutdown = Shutdown::new();
    (Node::start(config, &mut shutdown).await.unwrap(), (dir, shutdown))
}

fn import(node: &Node, name: &str, path: PathBuf) {
    let name = DatasetName::new(name).unwrap();
    let options = TableOptions {
        subject: SubjectRule::Column("record_number".to_owned()),
        ..TableOptions::default()
    };
    let request = ImportRequest {
        options,
        ..ImportRequest::new(name.clone(), Source::at_path(path))
    };
    let catalog = node.storage().catalog();
    let now = node.clock().now();
    catalog
        .import(&request, &node.identity().institution_key(), now, &mut |_| ())
        .unwrap();
    let classes = CLASSES
        .iter()
        .map(|(column, class)| (ColumnName::new(column).unwrap(), class.parse().unwrap()));
    make_change(node, catalog.datasets().plan_classes(&name, &classes.collect()));
    let release = ReleaseChange {
        limits: TierLimits {
            max_rows: NonZeroU64::new(1_000_000_000),
            queries_per_day: NonZeroU32::new(1_000_000),
            ..TierLimits::default()
        },
        sensitive: Some(Some(Tier::Records)),
        ..ReleaseChange::default()
    };
    make_change(node, catalog.datasets().plan_release(&name, &release));
    let published = catalog.datasets().plan_publication(&CollectionName::from(&name));
    make_change(node, published);
}

async fn researcher(node: &Node) -> Actor {
    let node = node.clone();
    let add_user = move || {
        let password = Secret::from("correct horse battery staple".to_owned());
        let now = node.clock().now();
        node.accounts()
            .add("eva", BTreeSet::from([Role::Researcher]), &password, now)
            .unwrap();
        let training = Training {
            name: Text::new("data-protection").unwrap(),
            until: now.plus_seconds(86_400),
        };
        let change = node.accounts().training("eva", training, now).unwrap();
        node.accounts().make(change).unwrap();
        node.sessions().login("eva", &password, now).unwrap().actor
    };
    tokio::task::spawn_blocking(add_user).await.unwrap()
}

fn everything(table: &str) -> Scope {
    let now = Clock::system().now();
    let columns = CLASSES
        .iter()
        .map(|(column, _)| (ColumnName::new(column).unwrap(), Transform::Clear));
    Scope {
        collection: format!("cleveland.{table}").parse().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::one(table.parse().unwrap(), Columns::new(columns).unwrap(), Rows::all()),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: scope::Limits::default(),
        window: Window::new(now.plus_seconds(-60), now.plus_seconds(86_400)).unwrap(),
    }
}

/// A data steward of `node`, who makes offers.
async fn steward(node: &Node) -> Attribution {
    let actor = ActorId::at("stella", &node.identity().institution).unwrap();
    let node = node.clone();
    let work = move || {
        if node.accounts().show("stella").is_err() {
            let password = Secret::from("correct horse battery staple".to_owned());
            let roles = BTreeSet::from([Role::Steward]);
            node.accounts()
                .add("stella", roles, &password, Clock::system().now())
                .unwrap();
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    Attribution::vouch(Cause::Person { actor })
}
