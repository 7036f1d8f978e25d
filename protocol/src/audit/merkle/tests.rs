//! RFC 6962 known answers, the vectors of transparency-dev/merkle, and properties.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

fn leaves(count: usize) -> Vec<Digest32> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn compact(leaves: &[Digest32]) -> CompactTree {
    let mut tree = CompactTree::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

#[test]
fn hashes_are_those_of_rfc_6962() {
    let known: Vec<Vec<u8>> = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .iter()
    .map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap())
    .collect();
    let known: Vec<Digest32> = known.iter().map(|bytes| leaf_hash(bytes)).collect();
    let is = |root: Digest32, hex: &str| assert_eq!(root.to_string(), hex);
    is(
        empty_root(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    is(
        compact(&known[..1]).root(),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    );
    is(
        compact(&known[..2]).root(),
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    );
    is(
        compact(&known).root(),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionVector {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsistencyVector {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

/// A hash of the vectors; `None` if its length is wrong, which a [`Digest32`] cannot represent.
fn hash(base64: &str) -> Option<Digest32> {
    Some(Digest32::from_bytes(
        BASE64.decode(base64.as_bytes()).ok()?.try_into().ok()?,
    ))
}

fn path(proof: Option<Vec<String>>) -> Option<Vec<Digest32>> {
    proof.unwrap_or_default().iter().map(|text| hash(text)).collect()
}

fn included(vector: InclusionVector) -> (bool, bool) {
    let verify = || {
        let leaf = hash(&vector.leaf_hash)?;
        let root = hash(&vector.root)?;
        verify_inclusion(leaf, vector.leaf_idx, vector.tree_size, root, &path(vector.proof)?).ok()
    };
    let wanted = !vector.want_err;
    (verify().is_some(), wanted)
}

fn consistent(vector: ConsistencyVector) -> (bool, bool) {
    let verify = || {
        let first = hash(&vector.root1)?;
        let second = hash(&vector.root2)?;
        verify_consistency(vector.size1, first, vector.size2, second, &path(vector.proof)?).ok()
    };
    let wanted = !vector.want_err;
    (verify().is_some(), wanted)
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "json"));
    folders
        .iter()
        .flat_map(|folder| json_files(folder))
        .chain(here)
        .collect()
}

#[test]
fn merkle_vectors_of_other_implementations_are_reproduced() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned();
    let root = PathBuf::from(std::env::var("CONCORDAT_SHARED_DATA").unwrap_or(default)).join("tlog-merkle");
    if !root.is_dir() {
        eprintln!("SKIPPED: no vectors at {}; set CONCORDAT_SHARED_DATA", root.display());
        return;
    }
    let inclusion = json_files(&root.join("inclusion"));
    let consistency = json_files(&root.join("consistency"));
    assert_eq!((inclusion.len(), consistency.len()), (49, 43));
    for file in inclusion {
        let (found, wanted) = included(serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap());
        assert_eq!(found, wanted, "{}", file.display());
    }
    for file in consistency {
        let (found, wanted) = consistent(serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap());
        assert_eq!(found, wanted, "{}", file.display());
    }
}

#[test]
fn merkle_proofs_of_small_trees_verify_only_for_their_leaf() {
    let leaves = leaves(33);
    for size in 1..=33_u64 {
        let tree_root = root(&leaves, size).unwrap();
        for index in 0..size {
            let path = inclusion_path(&leaves, index, size).unwrap();
            let leaf = leaves[usize::try_from(index).unwrap()];
            verify_inclusion(leaf, index, size, tree_root, &path).unwrap();
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify_inclusion(leaf, other, size, tree_root, &path).is_err());
            }
        }
        for first in 1..=size {
            let path = consistency_path(&leaves, first, size).unwrap();
            let first_root = root(&leaves, first).unwrap();
            verify_consistency(first, first_root, size, tree_root, &path).unwrap();
            assert!(verify_consistency(first, Digest32::ZERO, size, tree_root, &path).is_err());
            assert!(verify_consistency(first, first_root, size, Digest32::ZERO, &path).is_err());
        }
    }
    assert!(inclusion_path(&leaves, 34, 33).is_err());
    assert!(inclusion_path(&leaves, 0, 34).is_err());
    assert!(consistency_path(&leaves, 0, 33).is_err());
}

proptest! {
    #[test]
    fn growing_gives_the_same_root_as_building(count in 0_usize..400) {
        let leaves = leaves(count);
        prop_assert_eq!(compact(&leaves).root(), root(&leaves, count as u64).unwrap());
        prop_assert_eq!(compact(&leaves).size(), count as u64);
    }

    #[test]
    fn no_hash_of_a_proof_can_be_changed(count in 2_usize..200, at in 0_usize..200, which in 0_usize..16, byte in 0_usize..32) {
        let leaves = leaves(count);
        let index = at % count;
        let size = count as u64;
        let mut path = inclusion_path(&leaves, index as u64, size).unwrap();
        let which = which % path.len();
        let mut bytes = *path[which].as_bytes();
        bytes[byte] ^= 1;
        path[which] = Digest32::from_bytes(bytes);
        let tree_root = root(&leaves, size).unwrap();
        prop_assert!(verify_inclusion(leaves[index], index as u64, size, tree_root, &path).is_err());
    }

    #[test]
    fn a_rewritten_history_is_not_an_extension(count in 2_usize..200, first in 1_u64..200, changed in 0_u64..200) {
        let size = count as u64;
        let first = 1 + first % size;
        let original = leaves(count);
        let mut forged = original.clone();
        forged[usize::try_from(changed % first).unwrap()] = Digest32::ZERO;
        let path = consistency_path(&forged, first, size).unwrap();
        let seen = root(&original, first).unwrap();
        let shown = root(&forged, size).unwrap();
        prop_assert!(verify_consistency(first, seen, size, shown, &path).is_err());
    }
}
