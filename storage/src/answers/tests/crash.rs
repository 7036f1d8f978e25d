//! What a kill, a power cut or a failing disk leaves at each step.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::answers::file::Medium;

#[test]
fn answer_killed_before_its_commit_does_not_count() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    drop(node.log(&space()).unwrap().append(&[b"two", b"three"]).unwrap());
    drop(node);
    assert_eq!(fixture.contents().unwrap(), [b"one"]);
    let node = fixture.open();
    drop(node.answer(node.log(&space()).unwrap(), &[b"four"]));
    drop(node);
    assert_eq!(fixture.contents().unwrap(), [&b"one"[..], b"four"]);
}

#[test]
fn first_answer_killed_before_its_commit_does_not_count() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    drop(node.log(&space()).unwrap().append(&[b"one"]).unwrap());
    drop(node);
    let node = fixture.open();
    assert!(node.contents(&space()).unwrap().is_empty());
    let log = node.answer(node.log(&space()).unwrap(), &[b"two"]);
    let orphans = node.store.collect_orphans();
    assert_eq!(orphans.unwrap(), 1, "the log that no head names");
    drop((log, node));
    assert_eq!(fixture.contents().unwrap(), [b"two"]);
}

#[test]
fn log_that_is_being_created_is_not_an_orphan() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let appended = node.log(&space()).unwrap().append(&[b"one"]).unwrap();
    let collect = || node.store.collect_orphans();
    assert_eq!(collect().unwrap(), 0);
    node.commit(&appended).unwrap();
    let log = appended.into_log().unwrap();
    assert_eq!(collect().unwrap(), 0);
    drop(log);
    std::fs::write(fixture.answers().join("notes"), "of an administrator").unwrap();
    assert_eq!(collect().unwrap(), 0, "other files stay");
    assert_eq!(files_below(&fixture.answers()).len(), 2);
    assert_eq!(node.contents(&space()).unwrap(), [b"one"]);
}

/// A log continues after a change of the state that was refused, without the records that did not count.
#[test]
fn answer_whose_commit_is_refused_does_not_count() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let appended = node.log(&space()).unwrap().append(&[b"two"]).unwrap();
    let log = appended.into_log().unwrap();
    assert_eq!(log.records(), 1);
    drop(node.answer(log, &[b"3"]));
    drop(node);
    assert_eq!(fixture.contents().unwrap(), [&b"one"[..], b"3"]);
}

/// Until the commit, what is after the head may be anything: a record cut at any byte, zeros, or bytes of another file.
#[test]
fn torn_answer_at_any_byte_does_not_count() {
    let fixture = Fixture::with(&[b"one"]);
    let log = fixture.log();
    let head = fs::read(&log).unwrap().len();
    let node = fixture.open();
    drop(node.log(&space()).unwrap().append(&[b"two"]).unwrap());
    let whole = fs::read(&log).unwrap();
    for end in head..=whole.len() {
        for filler in [None, Some(0), Some(0xFF)] {
            let mut torn = whole[..end].to_vec();
            if let Some(byte) = filler {
                torn.resize(whole.len(), byte);
            }
            fs::write(&log, torn).unwrap();
            assert_eq!(node.contents(&space()).unwrap(), [b"one"], "{end} {filler:?}");
        }
    }
    drop(node.answer(node.log(&space()).unwrap(), &[b"2"]));
    assert_eq!(node.contents(&space()).unwrap(), [&b"one"[..], b"2"]);
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    /// It is not done.
    NotDone,
    /// It is done in part: a write writes half, a cut or sync is done.
    Partial,
}

/// A disk whose operation with the number `left` fails.
struct FailingDisk {
    inner: Box<dyn Medium>,
    left: Arc<AtomicUsize>,
    failure: Failure,
}

impl FailingDisk {
    fn fails(&self) -> bool {
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            == Ok(1)
    }

    fn run(&self, partial: impl FnOnce() -> io::Result<()>, whole: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.fails() {
            return whole();
        }
        if self.failure == Failure::Partial {
            partial()?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl Medium for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.run(|| Ok(()), || Ok(()))?;
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.run(|| Ok(()), || Ok(()))?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        self.run(
            || self.inner.write_at(half, offset),
            || self.inner.write_at(bytes, offset),
        )
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.run(|| self.inner.cut(length), || self.inner.cut(length))
    }

    fn sync(&self) -> io::Result<()> {
        self.run(|| self.inner.sync(), || self.inner.sync())
    }
}

#[test]
fn answer_that_fails_to_be_written_does_not_count() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let mut failed = 0;
    for failure in [Failure::NotDone, Failure::Partial] {
        for step in 1..10 {
            // What is after the head is cut first, which is a step too.
            drop(node.log(&space()).unwrap().append(&[b"cut"]).unwrap());
            let left = Arc::new(AtomicUsize::new(step));
            let disk = Arc::clone(&left);
            let log = node.log(&space()).unwrap().over(|inner| {
                Box::new(FailingDisk {
                    inner,
                    left: disk,
                    failure,
                })
            });
            let appended = log.append(&[b"two", b"three"]);
            if left.load(Ordering::SeqCst) > 0 {
                drop(appended.unwrap());
                break;
            }
            let error = appended.expect_err("the disk failed");
            assert!(matches!(error, AnswersError::Io { .. }), "{error}");
            failed += 1;
            assert_eq!(node.contents(&space()).unwrap(), [b"one"], "{failure:?} at step {step}");
        }
    }
    assert_eq!(failed, 2 * 5, "length, cut, two writes, sync");
    drop(node.answer(node.log(&space()).unwrap(), &[b"two"]));
    drop(node);
    assert_eq!(fixture.contents().unwrap(), [b"one", b"two"]);
}

#[test]
fn answer_that_cannot_be_read_is_an_error_of_the_disk() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let mut stored = None;
    let log = node
        .store
        .open_log(&space(), keys(), |record, _| stored = Some(record))
        .unwrap();
    let failure = Failure::NotDone;
    let left = Arc::new(AtomicUsize::new(1));
    let log = log.over(|inner| Box::new(FailingDisk { inner, left, failure }));
    assert!(matches!(log.read(&stored.unwrap()), Err(AnswersError::Io { .. })));
    assert_eq!(*log.read(&stored.unwrap()).unwrap(), b"one");
}

/// A disk that loses what was not synced.
struct VolatileDisk {
    inner: Box<dyn Medium>,
    written: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Medium for VolatileDisk {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.written.lock().unwrap().push((offset, bytes.to_vec()));
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.inner.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        for (offset, bytes) in self.written.lock().unwrap().drain(..) {
            self.inner.write_at(&bytes, offset)?;
        }
        self.inner.sync()
    }
}

/// A head is in the state only when the disk has its records.
#[test]
fn power_cut_after_the_commit_loses_no_answer() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let log = node.log(&space()).unwrap().over(|inner| {
        Box::new(VolatileDisk {
            inner,
            written: Mutex::default(),
        })
    });
    let appended = log.append(&[b"two", b"three"]).unwrap();
    node.commit(&appended).unwrap();
    drop((appended, node));
    assert_eq!(fixture.contents().unwrap(), [&b"one"[..], b"two", b"three"]);
}

/// Notes how much is read at once.
struct Watched {
    inner: Box<dyn Medium>,
    most: Arc<AtomicUsize>,
}

impl Medium for Watched {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.most.fetch_max(buffer.len(), Ordering::SeqCst);
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.inner.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

/// A log of 20 MB is read 256 KiB at a time, and one record after the other.
#[test]
fn ten_thousand_answers_are_read_in_bounded_memory() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let record = vec![5; 2_000];
    let records: Vec<&[u8]> = (0..10_000).map(|_| record.as_slice()).collect();
    let log = node.answer(node.log(&space()).unwrap(), &records);
    let most = Arc::new(AtomicUsize::new(0));
    let watched = Arc::clone(&most);
    let log = log.over(|inner| Box::new(Watched { inner, most: watched }));
    let mut seen = 0;
    log.replay(&mut |stored, plain| {
        assert_eq!((stored.number(), plain), (seen, record.as_slice()));
        seen += 1;
    })
    .unwrap();
    assert_eq!(seen, 10_000);
    assert_eq!(most.load(Ordering::SeqCst), 256 * 1024);
}
