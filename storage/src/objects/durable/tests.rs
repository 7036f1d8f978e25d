//! Local objects on a disk that someone else has changed.

use std::{fs, os::unix::fs::symlink};

use concordat_protocol::error_kind::{ErrorKind, Explain};
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::*;
use crate::objects::{
    LocationError,
    tests::other_kinds::{KINDS, ends},
};

/// A store with the objects `k/object` and `k/other`, and a folder elsewhere.
struct Fixture {
    dir: TempDir,
    store: DurableStore,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = DurableStore::open(&dir.path().join("objects")).unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let fixture = Self { dir, store };
        for name in ["k/object", "k/other"] {
            let put: Result<()> = fixture.run("put", move |store| {
                Box::pin(async move { store.put(&name.into(), "sealed".into()).await.map(drop) })
            });
            put.unwrap();
        }
        fixture
    }

    fn at(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Moves `k/object` elsewhere, and puts something else in its place.
    fn replace(&self, replace: fn(&FsPath, &FsPath)) {
        let (object, saved) = (self.at("objects/k/object"), self.at("elsewhere/saved"));
        fs::rename(&object, &saved).unwrap();
        replace(&object, &saved);
    }

    fn run<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(DurableStore) -> BoxFuture<'static, T> + Send + 'static,
    ) -> T {
        let store = self.store.clone();
        ends(what, move || {
            Builder::new_current_thread().build().unwrap().block_on(work(store))
        })
    }

    fn list(&self, prefix: Option<&'static str>) -> Result<Vec<String>> {
        self.run("list", move |store| {
            Box::pin(async move {
                let prefix = prefix.map(Path::from);
                let listed = store.list(prefix.as_ref()).map_ok(|meta| meta.location.to_string());
                let mut names: Vec<String> = listed.try_collect().await?;
                names.sort();
                Ok(names)
            })
        })
    }

    fn delete(&self, location: &'static str) -> Result<()> {
        self.run("delete", move |store| {
            Box::pin(async move { store.delete(&location.into()).await })
        })
    }
}

fn expect_damage(what: &str, outcome: Result<()>) {
    let error = LocationError::within(outcome.expect_err(what)).expect(what);
    assert!(matches!(error, LocationError::NotAFile { .. }), "{what}: {error}");
    assert_eq!(error.kind(), ErrorKind::Integrity, "{what}");
}

type Operation = fn(DurableStore, Path) -> BoxFuture<'static, Result<()>>;

const READING: [(&str, Operation); 6] = [
    ("get", |store, path| {
        Box::pin(async move { store.get(&path).await?.bytes().await.map(drop) })
    }),
    ("range", |store, path| {
        Box::pin(async move { store.get_range(&path, 1..3).await.map(drop) })
    }),
    ("ranges", |store, path| {
        Box::pin(async move { store.get_ranges(&path, &[0..1, 2..4]).await.map(drop) })
    }),
    ("head", |store, path| {
        Box::pin(async move { store.head(&path).await.map(drop) })
    }),
    ("copy", |store, path| {
        Box::pin(async move { store.copy(&path, &"k/new".into()).await })
    }),
    ("rename", |store, path| {
        Box::pin(async move { store.rename(&path, &"k/new".into()).await })
    }),
];

#[test]
fn only_regular_files_are_read_as_objects() {
    for (kind, replace) in KINDS {
        let fixture = Fixture::new();
        fixture.replace(replace);
        for (operation, run) in READING {
            let what = format!("{operation} of {kind}");
            let outcome = fixture.run(&what, move |store| run(store, "k/object".into()));
            expect_damage(&what, outcome);
            assert!(fs::symlink_metadata(fixture.at("objects/k/new")).is_err(), "{what}");
        }
        assert_eq!(fixture.list(None).unwrap(), ["k/other"], "{kind}");
        assert_eq!(fixture.list(Some("k")).unwrap(), ["k/other"], "{kind}");
    }
}

#[test]
fn what_replaced_an_object_is_removed_itself() {
    for (kind, replace) in KINDS {
        let fixture = Fixture::new();
        fixture.replace(replace);
        let outcome = fixture.delete("k/object");
        let is_left = fs::symlink_metadata(fixture.at("objects/k/object")).is_ok();
        if kind == "a folder" {
            expect_damage(kind, outcome);
            assert!(is_left, "{kind}");
        } else {
            outcome.expect(kind);
            assert!(!is_left, "{kind}");
        }
        assert_eq!(fs::read(fixture.at("elsewhere/saved")).unwrap(), b"sealed", "{kind}");
    }
    let again = Fixture::new();
    again.delete("k/object").unwrap();
    assert!(matches!(
        again.delete("k/object"),
        Err(object_store::Error::NotFound { .. })
    ));
}

#[test]
fn linked_folder_of_objects_is_not_followed() {
    let fixture = Fixture::new();
    let elsewhere = fixture.at("elsewhere/k");
    fs::rename(fixture.at("objects/k"), &elsewhere).unwrap();
    symlink(&elsewhere, fixture.at("objects/k")).unwrap();
    for (what, run) in READING {
        expect_damage(what, fixture.run(what, move |store| run(store, "k/object".into())));
    }
    let put = fixture.run("put", |store| {
        Box::pin(async move { store.put(&"k/new".into(), "sealed".into()).await.map(drop) })
    });
    expect_damage("put", put);
    expect_damage("delete", fixture.delete("k/object"));
    expect_damage("list", fixture.list(Some("k")).map(drop));
    assert_eq!(fixture.list(None).unwrap(), Vec::<String>::new());
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 2);
}

#[test]
fn listed_object_is_the_one_that_is_read() {
    let fixture = Fixture::new();
    fs::write(fixture.at("objects/k/object#1"), "unfinished").unwrap();
    fixture.run("compare", |store| {
        Box::pin(async move {
            let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
            assert_eq!(listed.len(), 2);
            for meta in listed {
                assert_eq!(store.head(&meta.location).await.unwrap(), meta);
                let found = store.get_ranges(&meta.location, &[0..6, 2..4, 6..6]).await.unwrap();
                assert_eq!(found, ["sealed", "al", ""]);
                assert!(
                    store
                        .get_ranges(&meta.location, std::slice::from_ref(&(4..7)))
                        .await
                        .is_err(),
                    "past the end"
                );
            }
            let folder = store.list_with_delimiter(None).await.unwrap();
            assert_eq!(folder.common_prefixes, [Path::from("k")]);
            assert!(folder.objects.is_empty());
            let found = store.put(&"k/third".into(), "sealed".into()).await.unwrap();
            assert_eq!(store.head(&"k/third".into()).await.unwrap().e_tag, found.e_tag);
        })
    });
    assert_eq!(fixture.list(Some("none")).unwrap(), Vec::<String>::new());
}
