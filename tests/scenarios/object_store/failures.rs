//! A store that fails: which failures have no effect, which are reported, and that nothing incomplete remains.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_tests::s3::{Fault, Kind, Rule};

use super::*;

#[test]
fn failures_that_end_before_the_last_retry_have_no_effect() {
    for fault in [
        Fault::Error(500),
        Fault::Error(503),
        Fault::CutRequest,
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

/// An outage of the store: how it begins, how it ends, and what must be reported.
struct Outage {
    name: &'static str,
    begin: fn(&S3Server),
    end: fn(&S3Server),
    /// The location that the expected error names.
    location: fn(&LocationError) -> Option<&String>,
}

const OUTAGES: [Outage; 6] = [
    Outage {
        name: "down",
        begin: S3Server::go_down,
        end: S3Server::come_back,
        location: |error| {
            if let LocationError::Unreachable { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
    Outage {
        name: "slow",
        begin: |server| {
            server
                .faults()
                .set([Rule::every(Fault::Wait(Duration::from_secs(3)), &[], 1)])
        },
        end: |server| server.faults().clear(),
        location: |error| {
            if let LocationError::Slow { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
    Outage {
        name: "failing",
        begin: |server| server.faults().set([Rule::every(Fault::Error(503), &[], 1)]),
        end: |server| server.faults().clear(),
        location: |error| {
            if let LocationError::Failing { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
    Outage {
        name: "cut",
        begin: |server| server.faults().set([Rule::every(Fault::CutRequest, &[], 1)]),
        end: |server| server.faults().clear(),
        location: |error| {
            if let LocationError::Unreachable { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
    Outage {
        name: "forbidden",
        begin: |server| {
            server.faults().set([Rule::every(
                Fault::Error(403),
                &[Kind::Begin, Kind::Write, Kind::Read],
                1,
            )])
        },
        end: |server| server.faults().clear(),
        location: |error| {
            if let LocationError::Denied { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
    Outage {
        name: "without its bucket",
        begin: |server| server.faults().set([Rule::every(Fault::Error(404), &[], 1)]),
        end: |server| server.faults().clear(),
        location: |error| {
            if let LocationError::NoBucket { location, .. } = error {
                Some(location)
            } else {
                None
            }
        },
    },
];

#[test]
fn store_that_is_unavailable_is_reported_without_half_versions() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let short = S3Location {
        request_timeout: Duration::from_secs(1),
        retries: 1,
        ..location(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(short)).unwrap();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    for outage in OUTAGES {
        (outage.begin)(&server);
        let assert_reported = |error: &(dyn std::error::Error + 'static), kind: ErrorKind| {
            assert_eq!(kind, ErrorKind::Unreachable, "{}: {error}", outage.name);
            let location = (outage.location)(at_location(error));
            let here = format!("s3://{BUCKET}/{PREFIX}");
            assert_eq!(location, Some(&here), "{}: {error}", outage.name);
        };
        let error = vault.import(&many(1000), ImportMode::Replace).unwrap_err();
        assert_reported(&error, error.kind());
        let error = vault.verify().unwrap_err();
        assert_reported(&error, error.kind());
        let checked = vault.runtime.block_on(vault.storage().check_objects());
        let error = checked.unwrap_err();
        assert_reported(&error, error.kind());
        (outage.end)(&server);
        assert_eq!(vault.newest(), (1, 3), "{}", outage.name);
        assert_eq!(vault.verify().unwrap().objects, 1, "{}", outage.name);
        vault.collect_orphans().unwrap();
        assert_eq!(server.objects(PREFIX).len(), 1, "{}", outage.name);
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
            assert!(server.faults().any_injected(), "{fault:?} of {kind:?}");
            // In the body of an object the tag is only data: the seal detects it.
            if (fault, kind) != (Fault::WideTag, Kind::Read) {
                assert!(
                    error.contains("answers with errors") && error.contains("the response of the store"),
                    "{fault:?} of {kind:?}: {error}"
                );
            }
            server.faults().clear();
            assert_eq!(vault.newest().0, 1);
            assert_eq!(vault.verify().unwrap().objects, 1);
        }
    }
}

/// An error with its chain of sources.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn store_server_without_tls_is_not_used() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let secure = server.endpoint().replace("http://", "https://");
    let plain = S3Location {
        endpoint: Some(Endpoint::new(&secure, PlainHttp::Loopback).unwrap()),
        retries: 0,
        ..location(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(plain)).unwrap();
    let error = vault.import(PEOPLE, ImportMode::Create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(
        matches!(at_location(&error), LocationError::Unreachable { .. }),
        "{error}"
    );
    assert_eq!(server.faults().requests(Kind::Read), 0, "nothing was sent in clear");
}

#[test]
fn import_that_fails_at_any_request_keeps_the_old_version() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    let once = S3Location {
        retries: 0,
        ..location(&server, vault.files.path(), PREFIX)
    };
    vault.open(&s3(once)).unwrap();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    let request = ImportRequest {
        rows_per_object: 8192,
        ..vault.request(&many(20_000), ImportMode::Replace)
    };
    let mut version = 1;
    for fault in [Fault::Error(500), Fault::CutRequest, Fault::LoseAnswer] {
        let mut failed = 0;
        for number in 1..100 {
            let before = vault.newest();
            let objects = server.objects(PREFIX);
            server.faults().set([Rule::once(fault, &[], number)]);
            let imported = vault.import_watched(&request, &mut |_| {});
            let injected = server.faults().any_injected();
            server.faults().clear();
            if imported.is_ok() {
                version += 1;
                assert_eq!(vault.newest(), (version, 20_000));
                if !injected {
                    break;
                }
                continue;
            }
            failed += 1;
            assert_eq!(
                imported.unwrap_err().kind(),
                ErrorKind::Unreachable,
                "{fault:?} at request {number}"
            );
            assert_eq!(vault.newest(), before, "{fault:?} at request {number}");
            vault.verify().unwrap();
            assert_eq!(server.objects(PREFIX), objects, "{fault:?} at request {number}");
        }
        assert!(failed >= 9, "{fault:?}: {failed} requests failed");
    }
    vault.collect_orphans().unwrap();
    let verified = vault.verify().unwrap();
    assert_eq!(server.objects(PREFIX).len() as u64, verified.objects);
}

#[test]
fn large_object_is_uploaded_in_parts_or_aborted() {
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
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(server.faults().requests(Kind::Abort), 1);
    assert_eq!(server.open_uploads(), 0, "no part of it stays in the store");
    assert_eq!(server.objects(PREFIX).len(), 1);

    server
        .faults()
        .set([Rule::every(Fault::LoseAnswer, &[Kind::Complete], 2)]);
    vault.import_watched(&request, &mut |_| {}).unwrap();
    assert!(server.faults().requests(Kind::Write) >= 2, "in parts");
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
fn object_survives_a_lost_answer_to_its_completion() {
    let (server, vault) = filled();
    server
        .faults()
        .set([Rule::once(Fault::LoseAnswer, &[Kind::Complete], 1)]);
    vault.import(&many(100), ImportMode::Replace).unwrap();
    assert!(
        server.faults().requests(Kind::Complete) >= 2,
        "the request was repeated"
    );
    assert_eq!(vault.newest(), (2, 100));
    assert_eq!(vault.verify().unwrap().objects, 2);
}

#[test]
fn stale_listing_removes_no_live_object_and_fails_on_none() {
    let (server, vault) = filled();
    let live = server.objects(PREFIX);
    let orphan = live[0].with_file_name(format!("{}.parquet", "f".repeat(32)));
    fs::copy(&live[0], &orphan).unwrap();
    assert_eq!(vault.collect_orphans().unwrap(), 1);
    let lagging = [Rule::every(Fault::OldListing, &[Kind::List], 1)];

    // It still lists removed objects, and does not list new ones yet.
    vault.import(&many(1000), ImportMode::Append).unwrap();
    server.faults().set(lagging.clone());
    vault.collect_orphans().unwrap();
    assert!(server.faults().requests(Kind::List) > 0);
    assert!(server.faults().any_injected(), "the old listing was shown");
    assert_eq!(server.objects(PREFIX).len(), 2);
    assert_eq!(vault.verify().unwrap().objects, 3);

    // Objects that it does not list are erased too.
    server.faults().clear();
    let _within = vault.runtime.enter();
    let statement = operator::state(&vault);
    vault.import(&many(10), ImportMode::Append).unwrap();
    server.faults().set(lagging);
    assert!(vault.catalog().erasures().erase(&statement).unwrap());
    assert!(server.faults().any_injected(), "the old listing was shown");
    assert_eq!(server.objects(PREFIX), Vec::<PathBuf>::new());
}

#[test]
fn objects_of_a_running_import_are_not_orphans() {
    let (server, vault) = filled();
    let request = ImportRequest {
        rows_per_object: 8192,
        ..vault.request(&many(20_000), ImportMode::Append)
    };
    let catalog = vault.catalog().clone();
    let runtime = vault.runtime.handle().clone();
    let (sender, receiver) = mpsc::channel();
    let mut collecting = None;
    let mut waited = false;
    let imported = vault.import_watched(&request, &mut |progress| {
        if matches!(progress, Progress::Writing { rows, .. } if rows >= 8192) && collecting.is_none() {
            assert!(
                server.objects(PREFIX).len() > 1,
                "there is no object without a manifest"
            );
            let catalog = catalog.clone();
            let runtime = runtime.clone();
            let sender = sender.clone();
            collecting = Some(thread::spawn(move || {
                let _within = runtime.enter();
                sender.send(catalog.maintenance().collect_orphans().unwrap()).unwrap();
            }));
            waited = receiver.recv_timeout(Duration::from_millis(300)).is_err();
        }
    });
    imported.unwrap();
    collecting.expect("the collection was started").join().unwrap();
    assert!(waited, "the collection waits for the import");
    assert_eq!(receiver.recv().unwrap(), 0);
    assert_eq!(vault.verify().unwrap().objects, 5);
}
