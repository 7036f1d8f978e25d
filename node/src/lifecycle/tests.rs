pub(super) mod fixture;

use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::catalog::ImportMode;
use concordat_storage::ledger::Attribution;

use self::fixture::{Fixture, heart};
use super::*;

#[tokio::test]
async fn retention_and_each_removal_are_entered_for_the_person() {
    let fixture = Fixture::new();
    let lifecycle = fixture.open().await.unwrap();
    let by = Attribution::vouch(Cause::Person {
        actor: "eva@budapest".parse().unwrap(),
    });
    fixture.import(ImportMode::Create).await;
    let before = fixture.ledger.size();

    assert_eq!(retain(&lifecycle, NonZeroU32::new(1), &by).await, 0);
    fixture.import(ImportMode::Replace).await;
    let versions = || fixture.storage.catalog().datasets().versions(&heart()).unwrap().len();
    assert_eq!(versions(), 2, "an import removes nothing by itself");
    assert_eq!(trim(&lifecycle, &by).await, 1);
    assert_eq!(trim(&lifecycle, &by).await, 0);
    assert_eq!(versions(), 1);
    fixture.import(ImportMode::Replace).await;
    assert_eq!(retain(&lifecycle, NonZeroU32::new(1), &by).await, 1);
    assert_eq!(retain(&lifecycle, None, &by).await, 0);

    let rule = |versions| EntryBody::DatasetRetentionSet {
        dataset: heart(),
        versions: NonZeroU32::new(versions),
    };
    let trimmed = |oldest| EntryBody::DatasetTrimmed {
        dataset: heart(),
        oldest,
    };
    let entries = fixture.ledger.range(before, fixture.ledger.size()).unwrap();
    assert!(entries.iter().all(|stored| stored.entry.cause == *by.cause()));
    let entered: Vec<EntryBody> = entries.into_iter().map(|stored| stored.entry.body).collect();
    assert_eq!(entered, [rule(1), trimmed(2), rule(1), trimmed(3), rule(0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn erasures_of_one_dataset_at_once_are_one() {
    let fixture = Fixture::new();
    let lifecycle = fixture.open().await.unwrap();
    fixture.import(ImportMode::Create).await;
    let before = fixture.ledger.size();
    let erasures = (0..8).map(|_| {
        let lifecycle = lifecycle.clone();
        let by = Attribution::vouch(Cause::Person {
            actor: "eva@budapest".parse().unwrap(),
        });
        tokio::task::spawn_blocking(move || lifecycle.erase(&heart(), Reason::sanitized("test"), &by).map(drop))
    });
    let done: Vec<_> = futures::future::join_all(erasures).await;
    let (made, refused): (Vec<_>, Vec<_>) = done.into_iter().map(|done| done.unwrap()).partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(
        refused
            .iter()
            .all(|refused| refused.as_ref().unwrap_err().code == ErrorKind::NotFound)
    );
    assert_eq!(fixture.ledger.size(), before + 1);
}

#[tokio::test]
async fn backup_target_that_is_refused_is_not_recorded() {
    let fixture = Fixture::new();
    let lifecycle = fixture.open().await.unwrap();
    let by = Attribution::vouch(Cause::Person {
        actor: "eva@budapest".parse().unwrap(),
    });
    let back_up = async |to: PathBuf| {
        let lifecycle = lifecycle.clone();
        let by = by.clone();
        let work = move || lifecycle.back_up(&to, &by).map(drop);
        tokio::task::spawn_blocking(work).await.unwrap()
    };
    let at = |name: &str| fixture.dir.path().join(name);
    std::os::unix::fs::symlink(fixture.storage.dir(), at("link")).unwrap();
    std::fs::create_dir(at("full")).unwrap();
    std::fs::write(at("full/file"), "of another program").unwrap();
    for refused in ["/proc/self/fd", "node/objects", "node/new", "link/new", "full"] {
        let problem = back_up(at(refused)).await.unwrap_err();
        assert_eq!(problem.code, ErrorKind::Usage, "{refused}: {problem:?}");
    }
    let unreachable = || backups::erase_in_repositories(&lifecycle.0.parts, &[]).unwrap();
    assert_eq!(unreachable(), Vec::<PathBuf>::new());

    // One that is not refused is known, by its real path.
    std::fs::create_dir(at("disk")).unwrap();
    std::os::unix::fs::symlink(at("disk"), at("mounted")).unwrap();
    back_up(at("mounted/backups")).await.unwrap();
    assert_eq!(unreachable(), Vec::<PathBuf>::new());
    let real = at("disk/backups").canonicalize().unwrap();
    std::fs::rename(&real, at("away")).unwrap();
    assert_eq!(unreachable(), [real]);
}

/// A folder with the name of the staged file prevents the master key file from being written.
#[tokio::test]
async fn key_rotation_that_fails_is_entered_as_not_made() {
    let fixture = Fixture::new();
    let lifecycle = fixture.open().await.unwrap();
    fixture.import(ImportMode::Create).await;
    let before = fixture.ledger.size();
    let staged = fixture.dir.path().join("node/identity/master.key.new");
    std::fs::create_dir(&staged).unwrap();
    rotate(&lifecycle, |lifecycle, by| lifecycle.rotate_master(by))
        .await
        .unwrap_err();
    let rotated = |key: &str| EntryBody::KeyChanged {
        key: Label::sanitized(key),
        change: KeyChange::Rotated,
    };
    let entered = |from: u64| -> Vec<EntryBody> {
        let entries = fixture.ledger.range(from, fixture.ledger.size()).unwrap();
        entries.into_iter().map(|stored| stored.entry.body).collect()
    };
    assert_eq!(
        entered(before),
        [rotated("master key"), EntryBody::ChangeNotMade { entry: before }]
    );

    std::fs::remove_dir(&staged).unwrap();
    let after = fixture.ledger.size();
    rotate(&lifecycle, |lifecycle, by| lifecycle.rotate_master(by))
        .await
        .unwrap();
    let segment: SegmentName = "main".parse().unwrap();
    let datasets = rotate(&lifecycle, move |lifecycle, by| lifecycle.rotate_segment(&segment, by));
    assert_eq!(datasets.await.unwrap(), 1);
    rotate(&lifecycle, |lifecycle, by| {
        lifecycle.rotate_dataset(&heart(), false, by)
    })
    .await
    .unwrap();
    let made = ["master key", "key of segment main", "key of dataset heart"].map(rotated);
    assert_eq!(entered(after), made);
}

async fn rotate<T: Send + 'static>(
    lifecycle: &Lifecycle,
    rotation: impl FnOnce(&Lifecycle, &Attribution) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let lifecycle = lifecycle.clone();
    let by = crate::attribution::by_this_account();
    tokio::task::spawn_blocking(move || rotation(&lifecycle, &by))
        .await
        .unwrap()
}

async fn retain(lifecycle: &Lifecycle, keep: Option<NonZeroU32>, by: &Attribution) -> u64 {
    let lifecycle = lifecycle.clone();
    let by = by.clone();
    let work = move || lifecycle.retain(&heart(), keep, &by).unwrap();
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn trim(lifecycle: &Lifecycle, by: &Attribution) -> u64 {
    let lifecycle = lifecycle.clone();
    let by = by.clone();
    tokio::task::spawn_blocking(move || lifecycle.trim(&heart(), &by).unwrap())
        .await
        .unwrap()
}
