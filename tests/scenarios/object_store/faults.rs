//! A store that fails: what is not noticed, what is said, and that nothing half done stays.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use concordat_storage::error_kind::ErrorKind as Whose;
use concordat_tests::s3::{Fault, Kind, Rule};

use super::*;

#[test]
fn failures_that_end_before_the_last_try_are_not_noticed() {
    for fault in [
        Fault::Error(500),
        Fault::Error(503),
        Fault::CutQuestion,
        Fault::CutAnswer,
        Fault::LoseAnswer,
        Fault::Wait(Duration::from_millis(100)),
    ] {
        let (server, vault) = filled();
        server.faults().set([Rule::every(fault, &[], 3)]);
        let request = ImportRequest {
            rows_per_object: 8192,
            ..vault.request(&many(20_000), ImportMode::Append)
        };
        let imported = vault.import_watched(&request, &mut |_| {});
        assert_eq!(
            imported
                .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"))
                .total_rows,
            20_003
        );
        assert_eq!(
            vault
                .verify()
                .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"))
                .objects,
            5
        );
        let _within = vault.runtime.enter();
        vault.catalog().keys().rotate_dataset(&people(), true).unwrap();
        let reencrypted = vault.catalog().reencryption().run(&people(), None, &mut |_| true);
        assert_eq!(
            reencrypted
                .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"))
                .objects,
            4
        );
        server.faults().clear();
        assert_eq!(vault.verify().unwrap().objects, 5);
        vault.collect_orphans().unwrap();
        assert_eq!(server.objects(PREFIX).len(), 4, "{fault:?}");
    }
}

/// What is done to the store, what is undone afterwards, and what must be said.
struct Trouble {
    name: &'static str,
    begin: fn(&S3Server),
    end: fn(&S3Server),
    said: &'static str,
}

const TROUBLES: [Trouble; 6] = [
    Trouble {
        name: "down",
        begin: S3Server::go_down,
        end: S3Server::come_back,
        said: "cannot be reached; see that it runs",
    },
    Trouble {
        name: "slow",
        begin: |server| {
            server
                .faults()
                .set([Rule::every(Fault::Wait(Duration::from_secs(3)), &[], 1)])
        },
        end: |server| server.faults().clear(),
        said: "does not answer in time; do it again later",
    },
    Trouble {
        name: "failing",
        begin: |server| server.faults().set([Rule::every(Fault::Error(503), &[], 1)]),
        end: |server| server.faults().clear(),
        said: "answers with errors",
    },
    Trouble {
        name: "cut",
        begin: |server| server.faults().set([Rule::every(Fault::CutQuestion, &[], 1)]),
        end: |server| server.faults().clear(),
        said: "cannot be reached",
    },
    Trouble {
        name: "forbidden",
        begin: |server| {
            server.faults().set([Rule::every(
                Fault::Error(403),
                &[Kind::Begin, Kind::Write, Kind::Read],
                1,
            )])
        },
        end: |server| server.faults().clear(),
        said: "refuses the key in `storage.credentials`",
    },
    Trouble {
        name: "without its bucket",
        begin: |server| server.faults().set([Rule::every(Fault::Error(404), &[], 1)]),
        end: |server| server.faults().clear(),
        said: "has no bucket for",
    },
];

#[test]
fn a_store_that_is_down_slow_failing_or_closed_says_so_and_no_half_version_stays() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let impatient = S3Place {
        request_timeout: Duration::from_secs(1),
        retries: 1,
        ..place(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(impatient)).unwrap();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    for trouble in TROUBLES {
        (trouble.begin)(&server);
        let told = |error: &dyn std::error::Error, whose: Whose| {
            assert_eq!(whose, Whose::Unreachable, "{}: {error}", trouble.name);
            assert!(error.to_string().contains(trouble.said), "{}: {error}", trouble.name);
            assert!(
                error.to_string().contains("s3://hospital/study/a"),
                "{}: {error}",
                trouble.name
            );
        };
        let error = vault.import(&many(1000), ImportMode::Replace).unwrap_err();
        told(&error, error.kind());
        let error = vault.verify().unwrap_err();
        told(&error, error.kind());
        let looked = vault.runtime.block_on(vault.storage().check_objects());
        let error = looked.unwrap_err();
        told(&error, error.kind());
        (trouble.end)(&server);
        assert_eq!(vault.newest(), (1, 3), "{}", trouble.name);
        assert_eq!(vault.verify().unwrap().objects, 1, "{}", trouble.name);
        vault.collect_orphans().unwrap();
        assert_eq!(server.objects(PREFIX).len(), 1, "{}", trouble.name);
        vault.runtime.block_on(vault.storage().check_objects()).unwrap();
    }
    vault.import(&many(1000), ImportMode::Replace).unwrap();
    assert_eq!(vault.newest(), (2, 1000));
}

#[test]
fn store_answer_without_bound_is_not_read_to_its_end() {
    for fault in [Fault::Flood, Fault::WideTag] {
        for kind in [Kind::Read, Kind::List, Kind::Begin, Kind::Complete] {
            let (server, vault) = filled();
            server.faults().set([Rule::every(fault, &[kind], 1)]);
            let error = match kind {
                Kind::Read => chain(&vault.verify().map(drop).unwrap_err()),
                Kind::List => chain(&vault.collect_orphans().map(drop).unwrap_err()),
                Kind::Write | Kind::Begin | Kind::Complete | Kind::Abort | Kind::Remove => {
                    let imported = vault.import(&many(100), ImportMode::Append);
                    chain(&imported.map(drop).unwrap_err())
                }
            };
            assert!(server.faults().struck(), "{fault:?} of {kind:?}");
            // The tag of an object that is read is no tag: the seal notices it.
            if (fault, kind) != (Fault::WideTag, Kind::Read) {
                assert!(
                    error.contains("answers with errors") && error.contains("the store answered with"),
                    "{fault:?} of {kind:?}: {error}"
                );
            }
            server.faults().clear();
            assert_eq!(vault.newest().0, 1);
            assert_eq!(vault.verify().unwrap().objects, 1);
        }
    }
}

/// An error with everything behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_server_that_does_not_speak_tls_is_not_spoken_to() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let secure = server.endpoint().replace("http://", "https://");
    let place = S3Place {
        endpoint: Some(Endpoint::new(&secure, PlainHttp::Loopback).unwrap()),
        retries: 0,
        ..place(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(place)).unwrap();
    let error = vault.import(PEOPLE, ImportMode::Create).unwrap_err();
    assert_eq!(error.kind(), Whose::Unreachable, "{error}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert_eq!(server.faults().asked(Kind::Read), 0, "nothing was sent in clear");
}

#[test]
fn an_import_that_fails_at_any_request_leaves_the_old_version_and_succeeds_when_repeated() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let once = S3Place {
        retries: 0,
        ..place(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(once)).unwrap();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    let request = ImportRequest {
        rows_per_object: 8192,
        ..vault.request(&many(20_000), ImportMode::Replace)
    };
    let mut version = 1;
    for fault in [Fault::Error(500), Fault::CutQuestion, Fault::LoseAnswer] {
        let mut failed = 0;
        for number in 1..100 {
            let before = vault.newest();
            let objects = server.objects(PREFIX);
            server.faults().set([Rule::once(fault, &[], number)]);
            let imported = vault.import_watched(&request, &mut |_| {});
            let struck = server.faults().struck();
            server.faults().clear();
            if imported.is_ok() {
                version += 1;
                assert_eq!(vault.newest(), (version, 20_000));
                if !struck {
                    break;
                }
                continue;
            }
            failed += 1;
            assert_eq!(
                imported.unwrap_err().kind(),
                Whose::Unreachable,
                "{fault:?} at request {number}"
            );
            assert_eq!(vault.newest(), before, "{fault:?} at request {number}");
            vault.verify().unwrap();
            assert_eq!(server.objects(PREFIX), objects, "{fault:?} at request {number}");
        }
        assert!(failed >= 9, "{fault:?}: {failed} requests failed");
    }
    vault.collect_orphans().unwrap();
    let kept = vault.verify().unwrap();
    assert_eq!(server.objects(PREFIX).len() as u64, kept.objects);
}

#[test]
fn a_large_object_goes_up_in_parts_and_one_that_fails_is_given_up() {
    let (server, vault) = filled();
    let mut state = 7_u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    let rows: String = (0..450_000)
        .map(|row| format!("{row},{},{},{}\n", number(), number(), number()))
        .collect();
    let request = vault.request(&format!("id,one,two,three\n{rows}"), ImportMode::Replace);

    server.faults().set([Rule::once(Fault::Error(400), &[Kind::Write], 2)]);
    let error = vault.import_watched(&request, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), Whose::Unreachable, "{error}");
    assert_eq!(server.faults().asked(Kind::Abort), 1);
    assert_eq!(server.open_uploads(), 0, "nothing of it is paid for");
    assert_eq!(server.objects(PREFIX).len(), 1);

    server
        .faults()
        .set([Rule::every(Fault::LoseAnswer, &[Kind::Complete], 2)]);
    vault.import_watched(&request, &mut |_| {}).unwrap();
    assert!(server.faults().asked(Kind::Write) >= 2, "in parts");
    assert_eq!(server.open_uploads(), 0);
    assert_eq!(vault.newest(), (2, 450_000));
    let largest = server
        .objects(PREFIX)
        .into_iter()
        .map(|path| fs::metadata(path).unwrap().len());
    assert!(largest.max().unwrap() > 8 << 20);
    assert_eq!(vault.verify().unwrap().objects, 2);
}

#[test]
fn an_answer_that_is_lost_when_an_object_is_complete_does_not_lose_the_object() {
    let (server, vault) = filled();
    server
        .faults()
        .set([Rule::once(Fault::LoseAnswer, &[Kind::Complete], 1)]);
    vault.import(&many(100), ImportMode::Replace).unwrap();
    assert!(server.faults().asked(Kind::Complete) >= 2, "it was asked again");
    assert_eq!(vault.newest(), (2, 100));
    assert_eq!(vault.verify().unwrap().objects, 2);
}

#[test]
fn a_listing_that_lags_takes_no_object_that_lives_and_fails_on_none_that_is_gone() {
    let (server, vault) = filled();
    let live = server.objects(PREFIX);
    let orphan = live[0].with_file_name(format!("{}.parquet", "f".repeat(32)));
    fs::copy(&live[0], &orphan).unwrap();
    assert_eq!(vault.collect_orphans().unwrap(), 1);
    let lagging = [Rule::every(Fault::OldListing, &[Kind::List], 1)];

    // It still shows what was removed, and does not show yet what came.
    vault.import(&many(1000), ImportMode::Append).unwrap();
    server.faults().set(lagging.clone());
    vault.collect_orphans().unwrap();
    assert!(server.faults().asked(Kind::List) > 0);
    assert!(server.faults().struck(), "the old listing was shown");
    assert_eq!(server.objects(PREFIX).len(), 2);
    assert_eq!(vault.verify().unwrap().objects, 3);

    // What it does not show is erased all the same.
    server.faults().clear();
    let _within = vault.runtime.enter();
    let statement = operator::state(&vault);
    vault.import(&many(10), ImportMode::Append).unwrap();
    server.faults().set(lagging);
    assert!(vault.catalog().erasures().erase(&statement).unwrap());
    assert!(server.faults().struck(), "the old listing was shown");
    assert_eq!(server.objects(PREFIX), Vec::<PathBuf>::new());
}

#[test]
fn objects_of_an_import_under_way_are_no_orphans() {
    let (server, vault) = filled();
    let request = ImportRequest {
        rows_per_object: 8192,
        ..vault.request(&many(20_000), ImportMode::Append)
    };
    let (catalog, runtime) = (vault.catalog().clone(), vault.runtime.handle().clone());
    let (told, heard) = mpsc::channel();
    let mut collecting = None;
    let mut waited = false;
    let imported = vault.import_watched(&request, &mut |progress| {
        if matches!(progress, Progress::Writing { rows, .. } if rows >= 8192) && collecting.is_none() {
            assert!(server.objects(PREFIX).len() > 1, "an object that no manifest names yet");
            let (catalog, runtime, told) = (catalog.clone(), runtime.clone(), told.clone());
            collecting = Some(thread::spawn(move || {
                let _within = runtime.enter();
                told.send(catalog.maintenance().collect_orphans().unwrap()).unwrap();
            }));
            waited = heard.recv_timeout(Duration::from_millis(300)).is_err();
        }
    });
    imported.unwrap();
    collecting.expect("it was begun").join().unwrap();
    assert!(waited, "the orphans wait for the import");
    assert_eq!(heard.recv().unwrap(), 0);
    assert_eq!(vault.verify().unwrap().objects, 5);
}
