//! What an attacker with the sealing key can write, and where it is detected.

use concordat_protocol::audit::leaf_hash;

use super::*;

/// A log of these entries, each linked to the one before, except that entry `broken` names another predecessor.
fn log(key: &LedgerKey, bodies: &[EntryBody], broken: Option<u64>) -> (Vec<u8>, Tip) {
    let mut log = format::MAGIC.to_vec();
    let mut tip = Tip::default();
    for body in bodies {
        let sequence = tip.tree.size();
        let previous = if broken == Some(sequence) {
            Digest32::from_bytes([9; 32])
        } else {
            tip.last
        };
        let bytes = LedgerEntry {
            sequence,
            previous,
            at: NOW,
            cause: Attribution::eva().cause().clone(),
            body: body.clone(),
        }
        .encode()
        .unwrap();
        log.extend(record::seal_record(key, sequence, &bytes).unwrap());
        tip.push(leaf_hash(&bytes));
    }
    tip.length = log.len() as u64;
    (log, tip)
}

fn bodies(count: u64) -> Vec<EntryBody> {
    (0..count).map(query_end).collect()
}

#[test]
fn entry_with_a_wrong_predecessor_is_reported() {
    let fixture = Fixture::with_entries(4);
    let (forged, _) = log(&fixture.master.ledger(), &bodies(4), Some(2));
    fs::write(fixture.file("entries.log"), forged).unwrap();
    assert_eq!(fixture.damage(), Some(2));
}

#[test]
fn a_rewritten_entry_does_not_lead_to_the_head() {
    let fixture = Fixture::with_entries(4);
    let mut rewritten = bodies(4);
    rewritten[3] = query_end(8);
    let (forged, _) = log(&fixture.master.ledger(), &rewritten, None);
    fs::write(fixture.file("entries.log"), forged).unwrap();
    assert_eq!(fixture.damage(), Some(4));
}

#[test]
fn a_rewritten_ledger_does_not_lead_to_the_signed_checkpoint() {
    let fixture = Fixture::with_entries(4);
    fixture.open().unwrap().checkpoint(&node(), NOW).unwrap();
    let key = fixture.master.ledger();
    let (forged, tip) = log(&key, &bodies(9)[5..], None);
    fs::write(fixture.file("entries.log"), forged).unwrap();
    fs::write(fixture.file("head"), tip.head().seal(&key).unwrap()).unwrap();
    assert!(!fixture.inspect().ok);
}

#[test]
fn invalid_records_after_the_head_are_cut_off() {
    let fixture = Fixture::with_entries(2);
    let (forged, _) = log(&fixture.master.ledger(), &bodies(3), Some(2));
    let (valid, tip) = log(&fixture.master.ledger(), &bodies(2), None);
    let after = &forged[valid.len()..];
    fs::write(fixture.file("entries.log"), [valid.as_slice(), after].concat()).unwrap();
    fs::write(fixture.file("head"), tip.head().seal(&fixture.master.ledger()).unwrap()).unwrap();
    let ledger = fixture.open().unwrap();
    assert_eq!(ledger.size(), 2);
    assert!(ledger.verify(&[node().public()]).ok);
    assert_eq!(fs::metadata(fixture.file("entries.log")).unwrap().len(), tip.length);
}
