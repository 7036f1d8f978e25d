use zeroize::Zeroizing;

use super::*;
use crate::audit::{Cause, EntryBody, NodeTask, merkle};
use crate::identity::{InstitutionKey, PrivateKey};
use crate::text::Label;

fn institution_key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn institution() -> InstitutionId {
    InstitutionId::new("zurich").unwrap()
}

fn entries(count: u64, version: &str) -> Vec<Vec<u8>> {
    let mut previous = Digest32::ZERO;
    let entry = |sequence| {
        let body = EntryBody::NodeStarted {
            version: Label::new(version).unwrap(),
            start: None,
        };
        let bytes = LedgerEntry {
            sequence,
            previous,
            at: Timestamp::from_millis(1),
            cause: Cause::Node { task: NodeTask::Start },
            body,
        }
        .encode()
        .unwrap();
        previous = leaf_hash(&bytes);
        bytes
    };
    (0..count).map(entry).collect()
}

fn hashes(entries: &[Vec<u8>]) -> Vec<Digest32> {
    entries.iter().map(|bytes| leaf_hash(bytes)).collect()
}

fn head(leaves: &[Digest32], size: u64) -> Checkpoint {
    let root = merkle::root(leaves, size).unwrap();
    Checkpoint {
        institution: institution(),
        size,
        root,
        at: Timestamp::from_millis(2),
    }
}

fn proof(sequence: u64) -> InclusionProof {
    let entries = entries(5, "1");
    let leaves = hashes(&entries);
    let signed = Signed::sign(&head(&leaves, 5), &institution_key(1))
        .unwrap()
        .signed()
        .clone();
    let path = merkle::inclusion_path(&leaves, sequence, 5).unwrap();
    InclusionProof::new(
        institution(),
        sequence,
        entries[usize::try_from(sequence).unwrap()].clone(),
        path,
        &signed,
    )
}

#[test]
fn a_proof_needs_only_the_public_key() {
    let json = serde_json::to_string(&proof(3)).unwrap();
    let read: InclusionProof = serde_json::from_str(&json).unwrap();
    assert_eq!(read.check(institution_key(1).public()).unwrap().entry().sequence, 3);
    let mut cbor = Vec::new();
    ciborium::into_writer(&proof(3), &mut cbor).unwrap();
    assert_eq!(
        ciborium::from_reader::<InclusionProof, _>(cbor.as_slice()).unwrap(),
        proof(3)
    );
}

#[test]
fn a_proof_with_anything_exchanged_fails() {
    let key = institution_key(1).public();
    assert!(matches!(
        proof(3).check(institution_key(2).public()),
        Err(ProofError::Signature(_))
    ));
    assert!(matches!(
        InclusionProof {
            entry: proof(2).entry,
            ..proof(3)
        }
        .check(key),
        Err(ProofError::Path(_))
    ));
    assert!(matches!(
        InclusionProof {
            sequence: 2,
            ..proof(3)
        }
        .check(key),
        Err(ProofError::Path(_))
    ));
    let long = InclusionProof {
        path: vec![Digest32::ZERO; MAX_PATH + 1],
        ..proof(3)
    };
    assert!(matches!(
        long.check(key),
        Err(ProofError::Path(VerifyError::Length { .. }))
    ));
    let foreign = InclusionProof {
        institution: InstitutionId::new("budapest").unwrap(),
        ..proof(3)
    };
    assert!(matches!(foreign.check(key), Err(ProofError::OtherLedger { .. })));
}

#[test]
fn inclusion_proof_at_wrong_position_is_refused() {
    let mut entries = entries(2, "1");
    entries.swap(0, 1);
    let leaves = hashes(&entries);
    let signed = Signed::sign(&head(&leaves, 2), &institution_key(1))
        .unwrap()
        .signed()
        .clone();
    let path = merkle::inclusion_path(&leaves, 0, 2).unwrap();
    let proof = InclusionProof::new(institution(), 0, entries[0].clone(), path, &signed);
    let error = proof.check(institution_key(1).public()).unwrap_err();
    assert_eq!(error, ProofError::WrongPosition { named: 1, proven: 0 });
}

#[test]
fn two_histories_cannot_extend_each_other() {
    let one = hashes(&entries(9, "1"));
    let other = hashes(&entries(9, "2"));
    let path = merkle::consistency_path(&one, 4, 9).unwrap();
    assert!(check_extension(&head(&one, 4), &head(&one, 9), &path).is_ok());
    assert!(matches!(
        check_extension(&head(&other, 4), &head(&one, 9), &path),
        Err(ProofError::Path(_))
    ));
    assert!(matches!(
        check_extension(&head(&one, 9), &head(&other, 9), &[]),
        Err(ProofError::Path(_))
    ));
}
