//! Starts that read the newest part first.

use std::io::{Read, Seek, SeekFrom, Write};

use super::*;
use crate::ledger::segments::{SEGMENT, Segments};
use crate::meta::SealedDb;

/// Some complete segments and a few more entries.
const ENTRIES: u64 = 5 * SEGMENT + 10;

/// A ledger of [`ENTRIES`] entries, anchored in the sealed state.
fn grown() -> Fixture {
    let fixture = Fixture::new();
    let ledger = fixture.anchored().unwrap();
    fill(&ledger, ENTRIES);
    drop(ledger);
    fixture
}

fn fill(ledger: &Ledger, entries: u64) {
    for n in 1..entries {
        ledger
            .send(
                None,
                query_end(n),
                (&Attribution::eva(), NOW),
                Box::new(|appended| drop(appended.unwrap())),
            )
            .unwrap();
    }
    drop(ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap());
}

impl Fixture {
    fn anchored(&self) -> Result<Ledger, LedgerError> {
        let meta = SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap();
        Ledger::open_anchored(&self.ledger(), self.master.ledger(), institution(), &meta)
    }

    /// Flips a bit in the middle of an entry.
    fn flip(&self, sequence: u64) {
        let log = self.file("entries.log");
        let mut file = fs::File::options().read(true).write(true).open(log).unwrap();
        let mut offset = format::MAGIC_LEN;
        for _ in 0..sequence {
            let mut prefix = [0; 4];
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.read_exact(&mut prefix).unwrap();
            offset += 4 + u64::from(u32::from_be_bytes(prefix));
        }
        let at = SeekFrom::Start(offset + 60);
        let mut byte = [0];
        file.seek(at).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(at).unwrap();
        file.write_all(&[byte[0] ^ 1]).unwrap();
    }
}

/// The result of the verification.
fn outcome(ledger: &Ledger) -> Verification {
    let mut seen = ledger.verification();
    let is_over = |state: &Verification| !matches!(state, Verification::Running { .. });
    futures::executor::block_on(seen.wait_for(is_over)).unwrap().clone()
}

#[test]
fn a_start_reads_the_newest_part_and_the_rest_is_verified() {
    let fixture = grown();
    let mut expected = ENTRIES;
    let root = fixture.open().unwrap().root();
    for _ in 0..3 {
        let ledger = fixture.anchored().unwrap();
        assert_eq!(ledger.size(), expected);
        assert_eq!(outcome(&ledger), Verification::Whole);
        if expected == ENTRIES {
            assert_eq!(ledger.root(), root);
        }
        for sequence in [0, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 7, expected - 1] {
            assert_eq!(ledger.entry(sequence).unwrap().entry.sequence, sequence);
        }
        fill(&ledger, SEGMENT + 1);
        expected += SEGMENT + 1;
        assert!(ledger.verify(&[node().public()]).ok);
    }
}

#[test]
fn damage_in_an_older_segment_is_found_and_stops_the_next_start() {
    let fixture = grown();
    for bad in [0, 100, SEGMENT, 2 * SEGMENT + 5] {
        fixture.flip(bad);
        let ledger = fixture.anchored().unwrap();
        let found = outcome(&ledger);
        let Verification::Failed { first_bad_entry, .. } = found else {
            panic!("{found:?}")
        };
        assert_eq!(first_bad_entry, Some(bad));
        let refused = ledger.append(query_end(1), &Attribution::eva(), NOW);
        assert!(matches!(refused, Err(LedgerError::Unverified { .. })));
        assert!(matches!(ledger.ready(), Err(LedgerError::Unverified { .. })));
        assert!(matches!(ledger.range(0, 9), Err(LedgerError::Unverified { .. })));
        assert!(matches!(
            ledger.checkpoint(&node(), NOW),
            Err(LedgerError::Unverified { .. })
        ));
        drop(ledger);
        for _ in 0..2 {
            let refused = fixture.anchored().unwrap_err();
            assert!(
                matches!(refused, LedgerError::Damaged { first_bad_entry, .. } if first_bad_entry == bad),
                "{refused}"
            );
        }
        fixture.flip(bad);
        // Everything is read once, then only the newest part again.
        assert_eq!(
            *fixture.anchored().unwrap().verification().borrow(),
            Verification::Whole
        );
        assert_eq!(outcome(&fixture.anchored().unwrap()), Verification::Whole);
    }
}

#[test]
fn damage_in_the_newest_part_stops_the_start() {
    let fixture = grown();
    for bad in [ENTRIES - 1, ENTRIES - 10, ENTRIES - SEGMENT] {
        fixture.flip(bad);
        let refused = fixture.anchored().unwrap_err();
        assert!(
            matches!(refused, LedgerError::Damaged { first_bad_entry, .. } if first_bad_entry == bad),
            "{refused}"
        );
        fixture.flip(bad);
    }
    drop(fixture.anchored().unwrap());
}

#[test]
fn damaged_list_of_segments_does_not_change_the_ledger() {
    let fixture = grown();
    let other = grown();
    let list = fixture.file("segments");
    let intact = fs::read(&list).unwrap();
    let root = fixture.open().unwrap().root();
    let mut lists = vec![Vec::new(), vec![0xff; 100], fs::read(other.file("segments")).unwrap()];
    lists.extend([1, 50, intact.len() / 2, intact.len() - 1].map(|length| intact[..length].to_vec()));
    lists.extend([0, 10, intact.len() / 2, intact.len() - 1].map(|at| {
        let mut flipped = intact.clone();
        flipped[at] ^= 1;
        flipped
    }));
    lists.push([&intact[..], &[1, 2, 3]].concat());
    // The records are swapped.
    let half = 4 + usize::try_from(u32::from_be_bytes(*intact.first_chunk().unwrap())).unwrap();
    lists.push([&intact[half..], &intact[..half]].concat());
    for list_of in lists {
        fs::write(&list, &list_of).unwrap();
        let ledger = fixture.anchored().unwrap();
        assert_eq!((ledger.root(), outcome(&ledger)), (root, Verification::Whole));
        drop(ledger);
        let written = Segments::read(&fixture.ledger(), &fixture.master.ledger(), u64::MAX).unwrap();
        assert!(written.1 && written.0.count() == 5);
    }
    fs::remove_file(&list).unwrap();
    assert_eq!(fixture.anchored().unwrap().root(), root);
}

#[test]
fn rewritten_older_segments_fail_verification() {
    let fixture = grown();
    // Another history under the same key, with equal numbers and lengths, that differs in one entry.
    let key = fixture.master.ledger();
    let mut tip = Tip::default();
    let mut log = format::MAGIC.to_vec();
    for sequence in 0..SEGMENT {
        let entry = LedgerEntry {
            sequence,
            previous: tip.last,
            at: if sequence == 7 { NOW.plus_millis(1) } else { NOW },
            cause: Attribution::eva().cause().clone(),
            body: query_end(sequence + 1),
        };
        let bytes = entry.encode().unwrap();
        log.extend(record::seal_record(&key, sequence, &bytes).unwrap());
        tip.push(concordat_protocol::audit::leaf_hash(&bytes));
    }
    let mut whole = fs::read(fixture.file("entries.log")).unwrap();
    whole[..log.len()].copy_from_slice(&log);
    fs::write(fixture.file("entries.log"), whole).unwrap();
    let ledger = fixture.anchored().unwrap();
    assert!(matches!(
        outcome(&ledger),
        Verification::Failed {
            first_bad_entry: Some(_),
            ..
        }
    ));
}

#[test]
fn unverified_entries_are_neither_shown_nor_signed() {
    let fixture = grown();
    let ledger = fixture.anchored().unwrap();
    assert_eq!(outcome(&ledger), Verification::Whole);
    let verified = SEGMENT;
    let of = 3 * SEGMENT;
    ledger
        .0
        .verification
        .send_replace(Verification::Running { verified, of });
    for (start, end, is_shown) in [
        (0, verified, true),
        (0, verified + 1, false),
        (verified, of, false),
        (of - 1, of + 1, false),
        (of, ENTRIES, true),
        (0, ENTRIES, false),
    ] {
        let shown = ledger.range(start, end);
        assert_eq!(shown.is_ok(), is_shown, "{start}..{end}");
        assert!(is_shown || matches!(shown, Err(LedgerError::Verifying { .. })));
    }
    assert!(matches!(
        ledger.checkpoint(&node(), NOW),
        Err(LedgerError::Verifying { .. })
    ));
    // It accepts entries in the meantime: their predecessor is verified.
    drop(ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap());
    assert!(ledger.ready().is_ok());
}

/// `CONCORDAT_LEDGER_ENTRIES=1000000 cargo test --workspace --lib -- --nocapture start_of_a_long_ledger`
#[test]
#[expect(clippy::disallowed_methods, reason = "it only measures, and nothing depends on it")]
fn start_of_a_long_ledger_has_the_same_root() {
    let entries = std::env::var("CONCORDAT_LEDGER_ENTRIES").map_or(2 * SEGMENT, |count| count.parse().unwrap());
    let fixture = Fixture::new();
    let ledger = fixture.anchored().unwrap();
    fill(&ledger, entries);
    let root = ledger.root();
    drop(ledger);
    let begun = std::time::Instant::now();
    drop(fixture.open().unwrap());
    let everything = begun.elapsed();
    let begun = std::time::Instant::now();
    let ledger = fixture.anchored().unwrap();
    let newest = begun.elapsed();
    assert_eq!((ledger.root(), outcome(&ledger)), (root, Verification::Whole));
    let rest = begun.elapsed();
    eprintln!("{entries} entries: everything {everything:?}, the newest part {newest:?}, with verification {rest:?}");
}
