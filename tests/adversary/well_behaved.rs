//! Well-behaved nodes, whole and on real files, run inside the test.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_node::{
    Actor, Clock, CountedStart, DEFAULT_MEMORY, EngineConfig, FederationError, Identity, Node, Question,
    RETRY_INTERVAL, Shutdown, StartConfig, Training,
};
use concordat_protocol::audit::Cause;
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{ActorId, CollectionName, ColumnName, DatasetName, InstitutionId, Jurisdiction};
use concordat_protocol::membership::{Roster, from_file};
use concordat_protocol::negotiation::{Authentic, Justification, NegotiationMessage, Parties, Side, StateName};
use concordat_protocol::query::Role;
use concordat_protocol::release::ReleaseChange;
use concordat_protocol::scope::{
    Columns, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects, Tier, Transform,
    Window,
};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::{ConsortiumName, LegalName, Reason, Text};
use concordat_protocol::{grant::Party, schema::ColumnClass};
use concordat_storage::ingest::{Source, SubjectRule, TableOptions};
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::{
    catalog::{ErasureOrder, ImportMode, ImportRequest, Manifest},
    data_dir::Storage,
    meta::{SealedTree, TreeId},
};
use concordat_tests::{make_change, tester};
use libp2p::Multiaddr;
use tempfile::TempDir;

use super::malicious_peer::{MaliciousPeer, now, soon};

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";
/// Subjects in each cohort.
pub(super) const SUBJECTS: usize = 400;

/// A well-behaved institution with its running node.
pub(super) struct InProcessNode {
    pub(super) node: Node,
    dir: TempDir,
    _shutdown: Shutdown,
}

impl InProcessNode {
    /// Sets up a node and starts it.
    pub(super) async fn start(institution: &str, jurisdiction: &str) -> Self {
        Self::start_at(institution, jurisdiction, vec![LISTEN.parse().unwrap()]).await
    }

    /// Like [`InProcessNode::start`], at these addresses.
    pub(super) async fn start_at(institution: &str, jurisdiction: &str, listen: Vec<Multiaddr>) -> Self {
        Self::start_with((institution, jurisdiction), listen, RETRY_INTERVAL).await
    }

    /// Sets up a node that sends what was not acknowledged again after `retry_interval`.
    async fn start_retrying(institution: &str, jurisdiction: &str, retry_interval: Duration) -> Self {
        let listen = vec![LISTEN.parse().unwrap()];
        Self::start_with((institution, jurisdiction), listen, retry_interval).await
    }

    async fn start_with(
        (institution, jurisdiction): (&str, &str),
        listen: Vec<Multiaddr>,
        retry_interval: Duration,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(dir.path().join("node"), institution).await;
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
                storage.identities().institution().unwrap(),
                storage.identities().node().unwrap(),
            ),
            storage,
            ledger,
            start,
            clock: Clock::system(),
            listen,
            announce: Vec::new(),
            // All nodes of a test are on this machine, and none dials anywhere else.
            dial: vec![concordat_network::DialRange::Loopback],
            limits: concordat_network::Limits::default(),
            password_cost: Argon2Cost::dangerous_minimum(),
            engine: EngineConfig {
                program: concordat_tests::program::path().to_owned(),
                memory: DEFAULT_MEMORY,
            },
            retry_interval,
        };
        let mut shutdown = Shutdown::new();
        let node = Node::start(config, &mut shutdown).await.unwrap();
        Self {
            node,
            dir,
            _shutdown: shutdown,
        }
    }

    /// Its short id.
    pub(super) fn id(&self) -> &InstitutionId {
        &self.node.identity().institution
    }

    /// Imports a generated cohort twice, classified: `heart` is published, `ward` is not.
    pub(super) async fn import(&self) {
        let node = self.node.clone();
        let file = self.dir.path().join("cohort.csv");
        std::fs::write(&file, cohort()).unwrap();
        let work = move || {
            import(&node, "ward", &file, ImportMode::Create);
            import(&node, "heart", &file, ImportMode::Create);
            let datasets = node.storage().catalog().datasets();
            make_change(&node, datasets.plan_publication(&CollectionName::new("heart").unwrap()));
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Erases `heart` in the catalog alone, as if the end of its grants had been missed, and imports another dataset of that name.
    pub(super) async fn exchange_dataset(&self) {
        let node = self.node.clone();
        let file = self.dir.path().join("other.csv");
        std::fs::write(&file, cohort_of(7)).unwrap();
        let work = move || {
            let heart = DatasetName::new("heart").unwrap();
            let catalog = node.storage().catalog();
            let order = ErasureOrder {
                institution: node.identity().institution.clone(),
                by: None,
                reason: Reason::new("a test").unwrap(),
                at: now(),
            };
            let key = node.identity().institution_key();
            let statement = catalog.erasures().sign_statement(&heart, order, &key).unwrap();
            assert!(catalog.erasures().erase(&statement).unwrap());
            import(&node, "heart", &file, ImportMode::Create);
            let published = catalog.datasets().plan_publication(&CollectionName::from(&heart));
            make_change(&node, published);
            node.epoch().raise();
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Imports a version of `heart` with this many rows.
    pub(super) async fn import_rows(&self, rows: usize) {
        let node = self.node.clone();
        let file = self.dir.path().join("rows.csv");
        std::fs::write(&file, cohort_of(rows)).unwrap();
        tokio::task::spawn_blocking(move || import(&node, "heart", &file, ImportMode::Replace))
            .await
            .unwrap();
    }

    /// Imports these rows as a version of `heart`.
    pub(super) async fn import_text(&self, text: String) {
        let node = self.node.clone();
        let file = self.dir.path().join("text.csv");
        std::fs::write(&file, text).unwrap();
        tokio::task::spawn_blocking(move || import(&node, "heart", &file, ImportMode::Replace))
            .await
            .unwrap();
    }

    /// Signs the current version of a dataset again, as versions were signed before subjects had ordinals.
    pub(super) async fn sign_as_format_2(&self, name: &'static str) {
        let node = self.node.clone();
        let work = move || {
            let name = DatasetName::new(name).unwrap();
            let storage = node.storage();
            let version = storage.catalog().open_version(&name, None).unwrap();
            let manifest = version.manifest();
            let key = node.identity().institution_key();
            let signed = Signed::sign(manifest, &key).unwrap();
            let manifests: SealedTree<Signed<Manifest>> = storage.meta().tree(TreeId::new("manifests")).unwrap();
            let stored_at = format!("{name}/{}", manifest.version);
            manifests.put(&stored_at, signed.signed()).unwrap();
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Empties the objects of all datasets, so that no row can be read; returns how many there were.
    pub(super) fn empty_objects(&self) -> usize {
        let mut folders = vec![self.dir.path().to_owned()];
        let mut emptied = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "parquet") {
                    std::fs::write(&path, b"").unwrap();
                    emptied += 1;
                }
            }
        }
        emptied
    }

    /// Numbers the subjects of a dataset.
    pub(super) async fn index(&self, name: &'static str) {
        let node = self.node.clone();
        let work = move || {
            let name = DatasetName::new(name).unwrap();
            let key = node.identity().institution_key();
            let catalog = node.storage().catalog();
            catalog.index(&name, None, (&key, now()), &mut |_| ()).unwrap();
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Its current roster, as signed.
    pub(super) fn roster(&self) -> CoSigned<Roster> {
        from_file(self.node.membership().export().unwrap().as_bytes()).unwrap()
    }

    /// Whether its ledger is valid from the first entry on.
    pub(super) fn ledger_is_valid(&self) -> bool {
        self.node
            .ledger()
            .verify(&[self.node.identity().institution_public()])
            .ok
    }

    /// The number of its negotiations.
    pub(super) fn negotiations(&self) -> usize {
        self.node.negotiations().summaries(None).count()
    }

    /// A data steward with an account here, who makes offers.
    pub(super) async fn steward(&self) -> Attribution {
        self.steward_named("stella").await
    }

    /// Like [`InProcessNode::steward`], with an account of another name.
    pub(super) async fn steward_named(&self, name: &'static str) -> Attribution {
        let node = self.node.clone();
        let work = move || {
            if node.accounts().show(name).is_err() {
                let password = Secret::from("correct horse battery staple".to_owned());
                let roles = BTreeSet::from([Role::Steward]);
                node.accounts().add(name, roles, &password, now()).unwrap();
            }
        };
        tokio::task::spawn_blocking(work).await.unwrap();
        let actor = ActorId::at(name, self.id()).unwrap();
        Attribution::vouch(Cause::Person { actor })
    }

    /// A researcher who has logged in and whose training is recorded.
    pub(super) async fn researcher(&self) -> Actor {
        let node = self.node.clone();
        let work = move || {
            let password = Secret::from("correct horse battery staple".to_owned());
            let accounts = node.accounts();
            let now = now();
            accounts
                .add("eva", BTreeSet::from([Role::Researcher]), &password, now)
                .unwrap();
            let training = Training {
                name: Text::new("data-protection").unwrap(),
                until: now.plus_seconds(86_400),
            };
            let change = accounts.training("eva", training, now).unwrap();
            accounts.make(change).unwrap();
            node.sessions().login("eva", &password, now).unwrap().actor
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    /// Runs a query and reads the answer to its end; returns the number of rows.
    pub(super) async fn query(&self, actor: &Actor, sql: &str) -> Result<usize, FederationError> {
        let mut answer = soon(self.node.federation().query(actor, &Question::new(sql))).await?;
        let mut rows = 0;
        while let Some(batch) = soon(answer.next()).await {
            rows += batch?.num_rows();
        }
        Ok(rows)
    }

    /// Reads a message and checks that it is from the node and institution it names.
    pub(super) fn authentic(&self, message: Signed<NegotiationMessage>) -> Authentic {
        let roster = self.node.membership().newest().unwrap();
        Authentic::check(message, |node| {
            roster.active_node(node).map(|member| Side {
                institution: member.institution.clone(),
                key: member.key,
            })
        })
        .unwrap()
    }
}

/// A provider with data, another well-behaved member, and a malicious member.
pub(super) struct World {
    pub(super) provider: InProcessNode,
    pub(super) member: InProcessNode,
    pub(super) attacker: MaliciousPeer,
}

impl World {
    /// Founds the consortium and admits the other two.
    pub(super) async fn new() -> Self {
        Self::retrying(RETRY_INTERVAL).await
    }

    /// Like [`World::new`], with nodes that send what was not acknowledged again after `retry_interval`.
    pub(super) async fn retrying(retry_interval: Duration) -> Self {
        let (provider, member) = tokio::join!(
            InProcessNode::start_retrying("cleveland", "US", retry_interval),
            InProcessNode::start_retrying("budapest", "HU", retry_interval)
        );
        let attacker = MaliciousPeer::start("zurich", 3);
        provider.import().await;
        let founder = provider.node.membership();
        founder
            .found(ConsortiumName::new("Heart Study").unwrap(), &tester())
            .await
            .unwrap();
        founder
            .admit(member.node.membership().enroll(None).unwrap().as_bytes(), &tester())
            .await
            .unwrap();
        founder
            .admit(attacker.enrollment().as_bytes(), &tester())
            .await
            .unwrap();
        member
            .node
            .membership()
            .join(founder.export().unwrap().as_bytes(), &tester())
            .await
            .unwrap();
        Self {
            provider,
            member,
            attacker,
        }
    }

    /// Like [`World::new`], with the attacker connected to the provider and authenticated.
    pub(super) async fn connected() -> Self {
        let world = Self::new().await;
        world.attacker.meet(&world.provider).await;
        world
    }

    /// Admits another malicious peer as a member.
    pub(super) async fn admit(&self, attacker: &MaliciousPeer) {
        let founder = self.provider.node.membership();
        founder
            .admit(attacker.enrollment().as_bytes(), &tester())
            .await
            .unwrap();
    }

    /// Each test ends with this: another member is served, its connection still works, and the ledgers are valid.
    pub(super) async fn assert_still_serving(&self) {
        let by = tester();
        let requested = self
            .member
            .node
            .negotiations()
            .request(wide(&self.provider), why(), &by);
        let requested = soon(requested).await.expect("a well-behaved member is served");
        // It is delivered once both sides know each other, which may be a moment later.
        let arrived = async {
            loop {
                match self.provider.node.negotiations().show(&requested.id).await {
                    Ok(known) => return known,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let known = soon(arrived).await;
        assert_eq!((known.party, known.state), (Party::Provider, StateName::Requested));
        assert!(self.provider.ledger_is_valid() && self.member.ledger_is_valid());
    }

    /// The two sides of a negotiation in which the attacker requests access from the provider.
    pub(super) fn attacker_as_consumer(&self) -> Parties {
        Parties::new(side(&self.provider), self.attacker_side()).unwrap()
    }

    /// The two sides of a negotiation in which the member requests access from the attacker.
    pub(super) fn attacker_as_provider(&self) -> Parties {
        Parties::new(self.attacker_side(), side(&self.member)).unwrap()
    }

    fn attacker_side(&self) -> Side {
        Side {
            institution: self.attacker.institution.clone(),
            key: self.attacker.institution_key.public(),
        }
    }
}

fn side(target: &InProcessNode) -> Side {
    Side {
        institution: target.id().clone(),
        key: target.node.identity().institution_public(),
    }
}

/// The whole dataset of a node in clear, for health research, for a month.
pub(super) fn wide(target: &InProcessNode) -> Scope {
    scope(target.id())
}

/// All but the names, as the attacker requests it; so there is a column that it may not see.
pub(super) fn nameless(target: &InProcessNode) -> Scope {
    let columns = ["record_number", "age", "sex", "chol"].map(|name| (column(name), Transform::Clear));
    Scope {
        datasets: Datasets::one("heart".parse().unwrap(), Columns::new(columns).unwrap(), Rows::all()),
        ..wide(target)
    }
}

/// All of `heart` at `holder`.
pub(super) fn scope(holder: &InstitutionId) -> Scope {
    let columns = ["record_number", "name", "age", "sex", "chol"].map(|name| (column(name), Transform::Clear));
    Scope {
        collection: format!("{holder}.heart").parse().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::one("heart".parse().unwrap(), Columns::new(columns).unwrap(), Rows::all()),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(now().plus_seconds(-60), now().plus_seconds(30 * 86_400)).unwrap(),
    }
}

/// The justification of a request.
pub(super) fn why() -> Justification {
    Justification::new("cholesterol and age").unwrap()
}

pub(super) fn column(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

async fn storage(dir: std::path::PathBuf, institution: &str) -> Storage {
    let seed = institution.bytes().fold(11_u8, u8::wrapping_add);
    let work = move || {
        let source = Passphrase::new(
            Secret::from("only for a test".to_owned()),
            Argon2Cost::dangerous_minimum(),
        );
        let storage = Storage::init(&dir, &source).unwrap();
        storage
            .identities()
            .put_institution(&InstitutionKey::from_seed(&[seed; 32].into()))
            .unwrap();
        storage
            .identities()
            .put_node(&NodeKey::from_seed(&[seed.wrapping_add(1); 32].into()))
            .unwrap();
        storage
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn import(node: &Node, name: &str, file: &Path, mode: ImportMode) {
    let name = DatasetName::new(name).unwrap();
    let options = TableOptions {
        subject: SubjectRule::Column("record_number".to_owned()),
        ..TableOptions::default()
    };
    let request = ImportRequest {
        options,
        mode,
        again: true,
        ..ImportRequest::new(name.clone(), Source::at_path(file))
    };
    let catalog = node.storage().catalog();
    catalog
        .import(&request, &node.identity().institution_key(), now(), &mut |_| ())
        .unwrap();
    let classes = [
        ("record_number", ColumnClass::DirectIdentifier),
        ("name", ColumnClass::DirectIdentifier),
        ("age", ColumnClass::QuasiIdentifier),
        ("sex", ColumnClass::Ordinary),
        ("chol", ColumnClass::Sensitive),
    ];
    let classes = classes.map(|(name, class)| (column(name), class)).into_iter().collect();
    make_change(node, catalog.datasets().plan_classes(&name, &classes));
    let release = ReleaseChange {
        sensitive: Some(Some(Tier::Records)),
        ..ReleaseChange::default()
    };
    make_change(node, catalog.datasets().plan_release(&name, &release));
}

fn cohort() -> String {
    cohort_of(SUBJECTS)
}

fn cohort_of(subjects: usize) -> String {
    let row = |n: usize| format!("R{n:05},Patient {n},{},{},{}\n", 30 + n % 60, n % 2, 150 + n % 170);
    let rows: String = (0..subjects).map(row).collect();
    format!("record_number,name,age,sex,chol\n{rows}")
}
