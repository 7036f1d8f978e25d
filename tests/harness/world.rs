//! Several institutions in one consortium.

use std::path::{Path, PathBuf};

use concordat_node::Clock;
use serde_json::Value;
use tempfile::TempDir;

use crate::slots::Slots;
use crate::test_node::{Person, TestNode};

/// The institutions, in this order: id and jurisdiction.
const INSTITUTIONS: [(&str, &str); 6] = [
    ("cleveland", "US"),
    ("budapest", "HU"),
    ("zurich", "CH"),
    ("vienna", "AT"),
    ("oslo", "NO"),
    ("kyoto", "JP"),
];
/// How long grants last, in seconds: 90 days.
const GRANT_SECONDS: i64 = 90 * 86_400;

/// Institutions, their folder, and the slots for their daemons. Dropping it removes everything.
#[derive(Debug)]
pub struct World {
    /// The institutions, the founder of the consortium first.
    pub nodes: Vec<TestNode>,
    dir: TempDir,
    _slots: Slots,
}

/// A table to import.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// The name of the dataset.
    pub dataset: &'a str,
    /// The file.
    pub from: &'a Path,
    /// More arguments of `dataset import`.
    pub args: &'a [&'a str],
    /// `column=class`, for every column.
    pub classes: &'a [&'a str],
}

impl World {
    /// Runs `count` institutions that do not know each other.
    pub fn unconnected(count: usize) -> Self {
        let slots = Slots::take(count);
        let dir = tempfile::Builder::new()
            .prefix("concordat-world-")
            .tempdir()
            .expect("a temporary folder");
        let nodes = INSTITUTIONS.iter().take(count);
        let nodes = nodes
            .map(|(id, jurisdiction)| TestNode::create(id, jurisdiction, dir.path().join(id)))
            .collect();
        Self {
            nodes,
            dir,
            _slots: slots,
        }
    }

    /// Runs `count` institutions in one consortium, each with a steward and a researcher, all connected.
    pub fn consortium(count: usize) -> Self {
        let world = Self::unconnected(count);
        for node in &world.nodes {
            node.create_users();
        }
        world.form_consortium();
        world
    }

    /// The first institution founds a consortium and admits the others.
    pub fn form_consortium(&self) {
        let (founder, others) = self.nodes.split_first().expect("a founder");
        founder
            .run_as(Person::Administrator, &["consortium", "found", "--name", "Heart Study"])
            .ok();
        for node in others {
            let application = node.run_as(Person::Administrator, &["consortium", "enrol"]).ok().stdout;
            let file = self.file(&format!("{}.enrollment", node.id), &application);
            founder.run(&["consortium", "admit", &text(&file)]).ok();
        }
        let roster = founder.run(&["consortium", "roster", "show", "--armor"]).ok().stdout;
        let roster = self.file("roster.txt", &roster);
        for node in others {
            node.run(&["consortium", "join", &text(&roster)]).ok();
        }
        let peers = u64::try_from(others.len()).expect("a small number");
        for node in &self.nodes {
            node.await_peers(peers);
        }
    }

    /// The institution `id`.
    #[track_caller]
    pub fn node(&self, id: &str) -> &TestNode {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .expect("such an institution")
    }

    /// The institution `id`, to stop or start it.
    #[track_caller]
    pub fn node_mut(&mut self, id: &str) -> &mut TestNode {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .expect("such an institution")
    }

    /// The folder that holds the data directories and the files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into the folder of this world.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// The steward of `holder` imports a table, classifies its columns, permits the release of sensitive ones and publishes it. Returns the output of the import.
    #[track_caller]
    pub fn share(&self, holder: &str, import: Import<'_>) -> Value {
        let Import {
            dataset,
            from,
            args,
            classes,
        } = import;
        let holder = self.node(holder);
        let command = ["dataset", "import", dataset, "--from", &text(from)];
        let imported = holder.json_as(Person::Steward, &[&command[..], args].concat());
        holder
            .run_as(
                Person::Steward,
                &[&["dataset", "classify", dataset][..], classes].concat(),
            )
            .ok();
        if classes.iter().any(|class| class.ends_with("=sensitive")) {
            let rule = ["dataset", "limits", dataset, "--sensitive", "records"];
            holder.run_as(Person::Steward, &rule).ok();
        }
        holder.run_as(Person::Steward, &["dataset", "publish", dataset]).ok();
        imported
    }

    /// The steward of `holder` applies its policy set with other settings: each text in `settings.toml` is replaced by the one beside it.
    #[track_caller]
    pub fn change_settings(&self, holder: &str, replaced: &[(&str, &str)]) {
        let node = self.node(holder);
        let dir = self.dir().join(format!("{holder}-rules"));
        let path = text(&dir);
        node.run_as(Person::Steward, &["policy", "show", "--out", &path]).ok();
        let file = dir.join("settings.toml");
        let mut settings = std::fs::read_to_string(&file).expect("settings");
        for (before, after) in replaced {
            assert!(settings.contains(before), "{settings}");
            settings = settings.replace(before, after);
        }
        std::fs::write(&file, settings).expect("settings");
        let digest = node.json_as(Person::Steward, &["policy", "check", &path])["digest"].clone();
        let apply = ["policy", "apply", &path, "--expect", digest.as_str().expect("a digest")];
        node.run_as(Person::Steward, &apply).ok();
    }

    /// The steward of `holder` has figures below `records` released as they are computed.
    #[track_caller]
    pub fn release_exact(&self, holder: &str) {
        self.change_settings(holder, &[("protection = \"perturbed\"", "protection = \"exact\"")]);
    }

    /// Negotiates from the request of `consumer`'s researcher to the active grant, and returns its id. `args` are further
    /// arguments of `grant request`; without `--purpose` it is health research, without `--until` ninety days.
    #[track_caller]
    pub fn grant(&self, consumer: &str, provider: &str, dataset: &str, args: &[&str]) -> String {
        let id = self.request(consumer, provider, dataset, args);
        self.node(provider)
            .run_as(Person::Steward, &["grant", "offer", &id])
            .ok();
        self.await_grant(consumer, &id, "OFFERED");
        self.node(consumer)
            .run_as(Person::Researcher, &["grant", "accept", &id])
            .ok();
        for side in [consumer, provider] {
            self.await_grant(side, &id, "ACTIVE");
        }
        id
    }

    /// The researcher of `consumer` requests access from `provider`; returns the id once the provider has the request.
    #[track_caller]
    pub fn request(&self, consumer: &str, provider: &str, dataset: &str, args: &[&str]) -> String {
        let until = until();
        let target = format!("{provider}/{dataset}");
        let mut request = vec!["grant", "request", &target];
        for (option, value) in [("--purpose", "health-research"), ("--until", until.as_str())] {
            if !args.contains(&option) {
                request.extend([option, value]);
            }
        }
        request.extend(args);
        let requested = self.node(consumer).json_as(Person::Researcher, &request);
        let id = requested["id"].as_str().expect("an id").to_owned();
        self.await_grant(provider, &id, "REQUESTED");
        id
    }

    /// Waits until the negotiation or grant `id` is in `state` at `side`, and returns it as shown there.
    #[track_caller]
    pub fn await_grant(&self, side: &str, id: &str, state: &str) -> Value {
        let mut last = Value::Null;
        self.node(side)
            .await_condition(&format!("grant {id} in the state {state}"), |node| {
                let shown = node.run(&["--format", "json", "grant", "show", id]);
                last = if shown.code == Some(0) {
                    shown.json()
                } else {
                    Value::Null
                };
                last["state"] == state
            });
        last
    }
}

/// The day on which grants end.
fn until() -> String {
    let moment = Clock::system().now().plus_seconds(GRANT_SECONDS).to_string();
    moment.split('T').next().expect("a date").to_owned()
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
