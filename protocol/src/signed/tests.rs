use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::*;
use crate::identity::{InstitutionKey, NodeKey};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}
impl Document for Note {
    const LABEL: DomainLabel = labels::NOTICE;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Other {
    text: String,
}
impl Document for Other {
    const LABEL: DomainLabel = labels::QUERY;
}

fn node(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn institution_key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn note() -> Note {
    Note {
        text: "as carried".into(),
    }
}

#[test]
fn only_the_signer_verifies() {
    let signed = Signed::sign(&note(), &node(1)).unwrap().signed().clone();
    assert_eq!(signed.clone().verify(node(1).public()).unwrap().document(), &note());
    assert_eq!(
        signed.verify(node(2).public()).unwrap_err(),
        SignatureError::WrongSignature
    );
}

/// Their content is not covered by a signature, so the same document could have many different encodings.
#[test]
fn unsigned_headers_are_refused() {
    let key = node(1);
    let note = note();
    let sign1 = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
        .unprotected(HeaderBuilder::new().key_id(vec![1]).build())
        .payload(encode(&note).unwrap())
        .create_signature(Note::LABEL.as_str().as_bytes(), |message| key.sign(message))
        .build();
    let signed = Signed::<Note>::from_bytes(sign1.to_vec().unwrap()).unwrap();
    assert_eq!(signed.peek_unverified().unwrap_err(), SignatureError::Malformed);
    assert_eq!(signed.verify(key.public()).unwrap_err(), SignatureError::Malformed);
}

#[test]
fn a_signature_is_void_under_another_label() {
    let signed = Signed::sign(&note(), &node(1)).unwrap().signed().clone();
    let relabeled = Signed::<Other>::from_bytes(signed.as_bytes().to_vec()).unwrap();
    assert_eq!(
        relabeled.verify(node(1).public()).unwrap_err(),
        SignatureError::WrongSignature
    );
}

#[test]
fn no_single_byte_can_be_changed() {
    let bytes = Signed::sign(&note(), &node(1)).unwrap().signed().as_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        assert!(
            Signed::<Note>::from_bytes(forged)
                .unwrap()
                .verify(node(1).public())
                .is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn a_cosigned_document_needs_every_signature() {
    let proposed = CoSigned::propose(&note()).unwrap();
    let one = proposed.add_signature(&institution_key(1)).unwrap();
    let both = one.add_signature(&institution_key(2)).unwrap();
    let keys = [institution_key(1).public(), institution_key(2).public()];
    assert_eq!(one.clone().verify(&keys).unwrap_err(), SignatureError::MissingSignature);
    assert_eq!(both.clone().verify(&keys).unwrap().document(), &note());
    assert_eq!(one.payload_digest().unwrap(), both.payload_digest().unwrap());
}

#[test]
fn a_signature_moved_to_another_document_is_refused() {
    let mine = CoSigned::propose(&note())
        .unwrap()
        .add_signature(&institution_key(1))
        .unwrap();
    let other = CoSigned::propose(&Note { text: "wider".into() }).unwrap();
    let mut forged = CoseSignForge::parse(other.as_bytes());
    forged.signatures = CoseSignForge::parse(mine.as_bytes()).signatures;
    let forged = CoSigned::<Note>::from_bytes(forged.to_vec().unwrap()).unwrap();
    assert_eq!(
        forged.verify(&[institution_key(1).public()]).unwrap_err(),
        SignatureError::WrongSignature
    );
}

#[test]
fn documents_have_a_maximum() {
    let large = Note {
        text: "x".repeat(MAX_DOCUMENT),
    };
    assert_eq!(Signed::sign(&large, &node(1)).unwrap_err(), SignatureError::TooLarge);
}

struct CoseSignForge;
impl CoseSignForge {
    fn parse(bytes: &[u8]) -> coset::CoseSign {
        coset::CoseSign::from_slice(bytes).unwrap()
    }
}
