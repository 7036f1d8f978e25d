//! Reads that begin at a mark.

use super::super::segments::SEGMENT;
use super::super::shared::{MARK, MAX_MARKS};
use super::*;

/// Entries after which the first mark has been dropped.
const ENTRIES: u64 = SEGMENT + 3 * MARK + 5;

fn assert_read_alike(ledger: &Ledger) {
    let all = ledger.range(0, ENTRIES).unwrap();
    assert_eq!(all.len(), usize::try_from(ENTRIES).unwrap());
    let near = [0, 1, MARK, SEGMENT, SEGMENT + MARK, ENTRIES];
    let starts = near.into_iter().flat_map(|near| near.saturating_sub(2)..near + 3);
    for start in starts {
        let expected = all.get(usize::try_from(start).unwrap()..).unwrap_or_default();
        assert_eq!(ledger.range(start, ENTRIES).unwrap(), expected, "from {start}");
    }
    let shared = ledger.shared();
    assert_eq!(shared.marks.len(), MAX_MARKS);
    for start in SEGMENT..=ENTRIES {
        let from = shared.before(start).tree.size();
        assert!(from <= start && start - from < MARK, "{start} is read from {from} on");
    }
    assert_eq!(shared.before(MARK).tree.size(), 0, "that mark is not kept any more");
}

#[test]
fn entries_read_from_a_mark_are_those_of_the_whole_ledger() {
    let fixture = Fixture::with_entries(ENTRIES);
    let ledger = fixture.open().unwrap();
    assert_read_alike(&ledger);
    drop(ledger);
    let grown = Fixture::new();
    let ledger = grown.open().unwrap();
    (0..ENTRIES).for_each(|n| drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap()));
    assert_read_alike(&ledger);
}
