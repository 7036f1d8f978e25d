use concordat_keys::KeyFile;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{InstitutionId, NodeId};
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn head(size: u64, root: Digest32) -> LedgerHead {
    LedgerHead {
        institution: InstitutionId::new("budapest").unwrap(),
        node: NodeId::from_bytes([1; 32]),
        generation: 0,
        tree: TreeHead { size, root },
        at: NOW,
    }
}

#[test]
fn path_through_blocks_is_the_path_over_all_entries() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
    let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
    let ledger = storage.open_ledger(InstitutionId::new("budapest").unwrap()).unwrap();
    let by = crate::attribution::by_this_account();
    let mut blocks = Blocks::default();
    let mut heads = vec![head(0, ledger.anchored_head().tree().root)];
    let checked_sizes = [1, 2, 3, 100, 255, 256, 257, 300, 511, 512, 513, 530];
    for size in 1..=530 {
        drop(ledger.append(EntryBody::LoginFailed { actor: None }, &by, NOW).unwrap());
        if !checked_sizes.contains(&size) {
            continue;
        }
        let present = ledger.anchored_head().tree();
        for earlier in &heads {
            let path = blocks
                .path(&ledger, earlier, present)
                .unwrap()
                .expect("the ledger only grew");
            if earlier.tree.size > 0 {
                assert_eq!(path, ledger.consistency(earlier.tree.size, size).unwrap());
            }
            let mut other = earlier.clone();
            other.tree.root = Digest32::ZERO;
            assert_eq!(blocks.path(&ledger, &other, present).unwrap(), None, "{size}");
        }
        // A damaged ledger is an error, not a contradiction to what was signed before.
        let mut damaged = present;
        damaged.root = Digest32::ZERO;
        assert!(blocks.path(&ledger, &heads[0], damaged).is_err());
        let longer = head(size + 1, present.root);
        assert_eq!(blocks.path(&ledger, &longer, present).unwrap(), None);
        heads.push(head(size, present.root));
    }
}
