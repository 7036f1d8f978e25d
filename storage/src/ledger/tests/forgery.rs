//! What somebody who holds the sealing key can write, and where it is caught.

use concordat_protocol::audit::leaf_hash;

use super::*;

/// A log of these entries, each following from the one before, except that `broken` names another predecessor.
fn log(key: &LedgerKey, bodies: &[EntryBody], broken: Option<u64>) -> (Vec<u8>, Tip) {
    let (mut log, mut tip) = (format::MAGIC.to_vec(), Tip::default());
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
        log.extend(format::seal_record(key, sequence, &bytes).unwrap());
        tip.push(leaf_hash(&bytes));
    }
    tip.length = log.len() as u64;
    (log, tip)
}

fn bodies(count: u64) -> Vec<EntryBody> {
    (0..count).map(query_end).collect()
}

#[test]
fn an_entry_that_does_not_follow_is_named() {
    let place = Place::with_entries(4);
    let (forged, _) = log(&place.master.ledger(), &bodies(4), Some(2));
    fs::write(place.file("entries.log"), forged).unwrap();
    assert_eq!(place.damage(), Some(2));
}

#[test]
fn a_rewritten_entry_does_not_lead_to_the_head() {
    let place = Place::with_entries(4);
    let mut rewritten = bodies(4);
    rewritten[3] = query_end(8);
    let (forged, _) = log(&place.master.ledger(), &rewritten, None);
    fs::write(place.file("entries.log"), forged).unwrap();
    assert_eq!(place.damage(), Some(4));
}

#[test]
fn a_rewritten_ledger_does_not_lead_to_the_signed_checkpoint() {
    let place = Place::with_entries(4);
    place.open().unwrap().checkpoint(&node(), NOW).unwrap();
    let key = place.master.ledger();
    let (forged, tip) = log(&key, &bodies(9)[5..], None);
    fs::write(place.file("entries.log"), forged).unwrap();
    fs::write(place.file("head"), tip.head().seal(&key).unwrap()).unwrap();
    assert!(!place.inspect().ok);
}

#[test]
fn what_does_not_follow_behind_the_head_is_cut_off() {
    let place = Place::with_entries(2);
    let (forged, _) = log(&place.master.ledger(), &bodies(3), Some(2));
    let (honest, tip) = log(&place.master.ledger(), &bodies(2), None);
    let behind = &forged[honest.len()..];
    fs::write(place.file("entries.log"), [honest.as_slice(), behind].concat()).unwrap();
    fs::write(place.file("head"), tip.head().seal(&place.master.ledger()).unwrap()).unwrap();
    let ledger = place.open().unwrap();
    assert_eq!(ledger.size(), 2);
    assert!(ledger.verify(&[node().public()]).ok);
    assert_eq!(fs::metadata(place.file("entries.log")).unwrap().len(), tip.length);
}
