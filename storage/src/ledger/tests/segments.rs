//! Starts that read the newest part first.

use std::io::{Read, Seek, SeekFrom, Write};

use super::*;
use crate::ledger::segments::{SEGMENT, Segments};
use crate::meta::SealedDb;

/// Some whole segments and a little more.
const ENTRIES: u64 = 5 * SEGMENT + 10;

/// A ledger of [`ENTRIES`] entries that the sealed state knows.
fn grown() -> Place {
    let place = Place::new();
    let ledger = place.anchored().unwrap();
    fill(&ledger, ENTRIES);
    drop(ledger);
    place
}

fn fill(ledger: &Ledger, entries: u64) {
    for n in 1..entries {
        ledger
            .send(
                query_end(n),
                &Attribution::eva(),
                NOW,
                Box::new(|appended| drop(appended.unwrap())),
            )
            .unwrap();
    }
    drop(ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap());
}

impl Place {
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
        let (at, mut byte) = (SeekFrom::Start(offset + 60), [0]);
        file.seek(at).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(at).unwrap();
        file.write_all(&[byte[0] ^ 1]).unwrap();
    }
}

/// How the verification ends.
fn outcome(ledger: &Ledger) -> Verification {
    let mut seen = ledger.verification();
    let is_over = |state: &Verification| !matches!(state, Verification::Running { .. });
    futures::executor::block_on(seen.wait_for(is_over)).unwrap().clone()
}

#[test]
fn a_start_reads_the_newest_part_and_the_rest_is_verified() {
    let place = grown();
    let (mut expected, whole) = (ENTRIES, place.open().unwrap().root());
    for _ in 0..3 {
        let ledger = place.anchored().unwrap();
        assert_eq!(ledger.size(), expected);
        assert_eq!(outcome(&ledger), Verification::Whole);
        if expected == ENTRIES {
            assert_eq!(ledger.root(), whole);
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
    let place = grown();
    for bad in [0, 100, SEGMENT, 2 * SEGMENT + 5] {
        place.flip(bad);
        let ledger = place.anchored().unwrap();
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
            let refused = place.anchored().unwrap_err();
            assert!(
                matches!(refused, LedgerError::Damaged { first_bad_entry, .. } if first_bad_entry == bad),
                "{refused}"
            );
        }
        place.flip(bad);
        // Read as a whole once, then from the newest part again.
        assert_eq!(*place.anchored().unwrap().verification().borrow(), Verification::Whole);
        assert_eq!(outcome(&place.anchored().unwrap()), Verification::Whole);
    }
}

#[test]
fn damage_in_the_newest_part_stops_the_start() {
    let place = grown();
    for bad in [ENTRIES - 1, ENTRIES - 10, ENTRIES - SEGMENT] {
        place.flip(bad);
        let refused = place.anchored().unwrap_err();
        assert!(
            matches!(refused, LedgerError::Damaged { first_bad_entry, .. } if first_bad_entry == bad),
            "{refused}"
        );
        place.flip(bad);
    }
    drop(place.anchored().unwrap());
}

#[test]
fn whatever_is_done_to_the_list_of_segments_the_ledger_is_the_same() {
    let (place, other) = (grown(), grown());
    let list = place.file("segments");
    let (sound, root) = (fs::read(&list).unwrap(), place.open().unwrap().root());
    let mut lists = vec![Vec::new(), vec![0xff; 100], fs::read(other.file("segments")).unwrap()];
    lists.extend([1, 50, sound.len() / 2, sound.len() - 1].map(|length| sound[..length].to_vec()));
    lists.extend([0, 10, sound.len() / 2, sound.len() - 1].map(|at| {
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        flipped
    }));
    lists.push([&sound[..], &[1, 2, 3]].concat());
    // The records change places.
    let half = 4 + usize::try_from(u32::from_be_bytes(*sound.first_chunk().unwrap())).unwrap();
    lists.push([&sound[half..], &sound[..half]].concat());
    for list_of in lists {
        fs::write(&list, &list_of).unwrap();
        let ledger = place.anchored().unwrap();
        assert_eq!((ledger.root(), outcome(&ledger)), (root, Verification::Whole));
        drop(ledger);
        let written = Segments::read(&place.ledger(), &place.master.ledger(), u64::MAX).unwrap();
        assert!(written.1 && written.0.count() == 5);
    }
    fs::remove_file(&list).unwrap();
    assert_eq!(place.anchored().unwrap().root(), root);
}

#[test]
fn a_rewritten_older_part_does_not_lead_to_what_follows() {
    let place = grown();
    // Another history under the same key, entries, numbers and lengths alike but for one.
    let key = place.master.ledger();
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
        log.extend(format::seal_record(&key, sequence, &bytes).unwrap());
        tip.push(concordat_protocol::audit::leaf_hash(&bytes));
    }
    let mut whole = fs::read(place.file("entries.log")).unwrap();
    whole[..log.len()].copy_from_slice(&log);
    fs::write(place.file("entries.log"), whole).unwrap();
    let ledger = place.anchored().unwrap();
    assert!(matches!(
        outcome(&ledger),
        Verification::Failed {
            first_bad_entry: Some(_),
            ..
        }
    ));
}

#[test]
fn what_is_not_verified_yet_is_neither_shown_nor_signed() {
    let place = grown();
    let ledger = place.anchored().unwrap();
    assert_eq!(outcome(&ledger), Verification::Whole);
    let (verified, of) = (SEGMENT, 3 * SEGMENT);
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
    // It takes entries meanwhile: what they follow on is vouched for.
    drop(ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap());
    assert!(ledger.ready().is_ok());
}

/// `CONCORDAT_LEDGER_ENTRIES=1000000 cargo test --workspace --lib -- --nocapture a_start_of_a_long_ledger`
#[test]
#[expect(clippy::disallowed_methods, reason = "it measures, and nothing depends on it")]
fn a_start_of_a_long_ledger_is_the_same_ledger() {
    let entries = std::env::var("CONCORDAT_LEDGER_ENTRIES").map_or(2 * SEGMENT, |count| count.parse().unwrap());
    let place = Place::new();
    let ledger = place.anchored().unwrap();
    fill(&ledger, entries);
    let root = ledger.root();
    drop(ledger);
    let begun = std::time::Instant::now();
    drop(place.open().unwrap());
    let everything = begun.elapsed();
    let begun = std::time::Instant::now();
    let ledger = place.anchored().unwrap();
    let newest = begun.elapsed();
    assert_eq!((ledger.root(), outcome(&ledger)), (root, Verification::Whole));
    let rest = begun.elapsed();
    eprintln!("{entries} entries: everything {everything:?}, the newest part {newest:?}, the rest behind it {rest:?}");
}
