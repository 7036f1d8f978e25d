//! A disk that fails at one moment, for every moment there is: the first write, the second, and so on until nothing fails.

use std::num::NonZeroU32;

use concordat_protocol::{
    audit::EntryBody,
    ids::{Digest32, GrantId, InstitutionId, QueryId},
    schema::VersionNumber,
    scope::{Columns, Limits, People, Places, Purpose, Purposes, Rows, Scope, Tier, Transform, Window},
    text::Reason,
};

use super::*;
use crate::{
    engine::{Bounds, Holder, Permit, QueryError, answer},
    faulty::{Faults, FaultyStore, Outcome},
    ledger::{Attribution, Ledger},
};

const MANY: u64 = 9_000;
/// More moments than any of these operations has; beyond it something never ends.
const MOMENTS: u64 = 200;

/// A node with one version of three rows, over a store that fails when it is told to.
fn node() -> (TestNode, Arc<Faults>) {
    let mut node = TestNode::new();
    node.take(PEOPLE, ImportMode::Create);
    let faults = Arc::<Faults>::default();
    let layer = Arc::clone(&faults);
    node.reopen(move |inner| Arc::new(FaultyStore::new(inner, layer)));
    (node, faults)
}

/// A file that makes two objects.
fn large(node: &TestNode, mode: ImportMode) -> ImportRequest {
    let rows: String = (0..MANY).map(|row| format!("{row},name {row},40\n")).collect();
    ImportRequest {
        rows_per_object: 8192,
        ..node.request(&format!("id,name,age\n{rows}"), mode)
    }
}

/// Does `work` in a new node for each write that can fail, undone or done and unsaid. `settled` sees each node afterwards, with
/// nothing failing any more, and whether the work was done.
fn at_every_write<E: std::fmt::Display>(
    prepare: impl Fn(&TestNode),
    work: impl Fn(&TestNode) -> Result<(), E>,
    fault: impl Fn(&E) -> ErrorKind,
    settled: impl Fn(&TestNode, bool),
) -> u64 {
    let mut failed = 0;
    for how in [Outcome::NotDone, Outcome::Unreported] {
        let mut ended = false;
        for number in 1..MOMENTS {
            let (node, faults) = node();
            prepare(&node);
            faults.at_write(number, how);
            let done = work(&node);
            ended = !faults.end();
            if let Err(error) = &done {
                assert_eq!(fault(error), ErrorKind::Machine, "write {number} {how:?}: {error}");
                failed += 1;
            }
            settled(&node, done.is_ok());
            node.has_no_orphans();
            if ended {
                assert!(done.is_ok(), "nothing failed, and it was not done");
                break;
            }
        }
        assert!(ended, "it never came to its end");
    }
    failed
}

impl TestNode {
    fn ids_now(&self) -> Vec<String> {
        values(&self.read(&self.current()).unwrap(), "id")
    }

    /// Removes orphans, and expects that what is left is what the catalogue names, whole.
    fn has_no_orphans(&self) {
        self.collect_orphans();
        let live = self.catalog().0.objects.live_paths().unwrap();
        let kept = self.object_files();
        assert_eq!(kept.len(), live.len(), "{kept:?} for {live:?}");
        if self.catalog().datasets().show(&people()).is_ok() {
            self.verify().unwrap();
        }
    }
}

#[test]
fn an_import_that_fails_at_any_write_leaves_the_old_version_and_succeeds_when_repeated() {
    for (mode, rows) in [(ImportMode::Append, MANY + 3), (ImportMode::Replace, MANY)] {
        let failed = at_every_write(
            |_| {},
            |node| node.import(&large(node, mode)).map(drop),
            ImportError::kind,
            |node, done| {
                if !done {
                    assert_eq!(node.current().manifest().version, VersionNumber::FIRST);
                    assert_eq!(node.ids_now(), ["1", "2", "3"]);
                    assert_eq!(node.object_files().len(), 1, "nothing of it stayed");
                    node.import(&large(node, mode)).unwrap();
                }
                assert_eq!(node.current().manifest().version.get(), 2);
                assert_eq!(node.ids_now().len() as u64, rows);
            },
        );
        assert!(failed >= 12, "{failed} writes failed");
    }
}

#[test]
fn a_version_that_replaces_another_stands_even_if_the_other_cannot_be_removed() {
    at_every_write(
        |node| {
            let _within = node.runtime.enter();
            node.catalog()
                .retention()
                .retain(&people(), NonZeroU32::new(1))
                .unwrap();
        },
        |node| {
            node.import(&node.request("id,name,age\n9,Ida,20\n", ImportMode::Replace))
                .map(drop)
        },
        ImportError::kind,
        |node, done| {
            let expected: &[&str] = if done { &["9"] } else { &["1", "2", "3"] };
            assert_eq!(node.ids_now(), expected);
        },
    );
}

#[test]
fn reencrypting_that_fails_at_any_write_loses_nothing_and_goes_on_when_repeated() {
    let reencrypt = |node: &TestNode| {
        let _within = node.runtime.enter();
        node.catalog()
            .reencryption()
            .run(&people(), None, &mut |_| true)
            .map(drop)
    };
    let failed = at_every_write(
        |node| {
            node.take("id,name,age\n4,Dora,33\n", ImportMode::Append);
            node.catalog().keys().rotate_dataset(&people(), true).unwrap();
        },
        reencrypt,
        CatalogError::kind,
        |node, done| {
            assert_eq!(node.ids_now(), ["1", "2", "3", "4"]);
            assert_eq!(node.catalog().reencryption().pending().unwrap().is_empty(), done);
            reencrypt(node).unwrap();
            assert_eq!(node.catalog().reencryption().pending().unwrap(), []);
            assert_eq!(node.ids_now(), ["1", "2", "3", "4"]);
        },
    );
    assert!(failed >= 6, "{failed} writes failed");
}

#[test]
fn an_erasure_is_done_even_if_objects_cannot_be_removed() {
    let order = || ErasureOrder {
        institution: InstitutionId::new("budapest").unwrap(),
        by: None,
        reason: Reason::new("the study ended").unwrap(),
        at: NOW,
    };
    at_every_write(
        |node| drop(node.take("id,name,age\n4,Dora,33\n", ImportMode::Append)),
        |node| {
            let _within = node.runtime.enter();
            let statement = node.catalog().erasures().state(&people(), order(), &key(1))?;
            assert!(node.catalog().erasures().erase(&statement)?);
            Ok(())
        },
        CatalogError::kind,
        |node, done| {
            assert!(done, "its keys are gone, so it is");
            assert_eq!(
                node.catalog().datasets().show(&people()).unwrap_err().kind(),
                ErrorKind::NotFound
            );
            node.collect_orphans();
            assert_eq!(node.object_files(), Vec::<PathBuf>::new());
        },
    );
}

#[test]
fn a_read_that_fails_at_any_moment_ends_a_query_or_a_check_and_never_changes_an_answer() {
    let (node, faults) = node();
    node.import(&large(&node, ImportMode::Append)).unwrap();
    let asking = Asking::new(&node);
    let right = asking.rows(&node, 0).unwrap();
    assert_eq!(right.len() as u64, MANY + 3);
    for (how, fault) in [
        (Outcome::NotDone, ErrorKind::Machine),
        (Outcome::Short, ErrorKind::Integrity),
    ] {
        let mut failed = 0;
        for number in 1..MOMENTS {
            faults.at_read(number, how);
            let answered = asking.rows(&node, number);
            let struck = faults.end();
            match answered {
                Ok(rows) => assert_eq!(rows, right, "read {number} {how:?}"),
                Err(error) => {
                    failed += 1;
                    assert!(
                        matches!(error, QueryError::Stored { .. }),
                        "read {number} {how:?}: {error}"
                    );
                    assert!(
                        [fault, ErrorKind::Machine].contains(&error.kind()),
                        "read {number} {how:?}: {error}"
                    );
                }
            }
            if !struck {
                break;
            }
        }
        assert!(failed >= 3, "{failed} reads failed");
        for number in 1..MOMENTS {
            faults.at_read(number, how);
            let checked = node.verify();
            match (faults.end(), checked) {
                (true, Err(error)) => assert!([fault, ErrorKind::Machine].contains(&error.kind()), "{error}"),
                // One that is looked at afresh is whole.
                (true, Ok(checked)) => assert_eq!(checked.objects, 4, "read {number} {how:?}"),
                (false, checked) => {
                    assert_eq!(checked.unwrap().objects, 4);
                    break;
                }
            }
        }
    }
}

/// Questions by the path that every answer takes.
struct Asking {
    ledger: Ledger,
}

impl Asking {
    fn new(node: &TestNode) -> Self {
        let storage = node.storage.as_ref().unwrap();
        let institution = InstitutionId::new("budapest").unwrap();
        Self {
            ledger: Ledger::open(&storage.ledger_dir(), storage.ledger_key(), institution).unwrap(),
        }
    }

    fn rows(&self, node: &TestNode, number: u64) -> Result<Vec<String>, QueryError> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let query = QueryId::from_bytes(id);
        let decision = EntryBody::DecisionMade {
            request: query,
            grant: None,
            permitted: true,
            reasons: Vec::new(),
            policy: Digest32::ZERO,
            sql: None,
        };
        let receipt = self.ledger.append(decision, &Attribution::eva(), NOW).unwrap();
        let permit = Permit::new(Holder::Grant(GrantId::from_bytes([1; 16])), query, scope(), receipt).unwrap();
        let sql = "SELECT id, name FROM budapest.people";
        node.runtime.block_on(async {
            let mut answer = answer(permit, &node.current(), sql, Arc::new(|| Ok(())), Bounds::default()).await?;
            let mut rows = Vec::new();
            while let Some(batch) = answer.next_batch().await? {
                let batch = std::slice::from_ref(batch.records());
                rows.extend(
                    values(batch, "id")
                        .into_iter()
                        .zip(values(batch, "name"))
                        .map(|(id, name)| format!("{id} {name}")),
                );
            }
            rows.sort();
            Ok(rows)
        })
    }
}

fn scope() -> Scope {
    let clear = ["id", "name"].map(|name| (column(name), Transform::Clear));
    Scope {
        dataset: "budapest.people".parse().unwrap(),
        tier: Tier::Records,
        columns: Columns::new(clear).unwrap(),
        rows: Rows::all(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
    }
}
