//! Signed documents and the files that carry them: no input makes their readers panic or is accepted as signed, and armored
//! documents can be read back.

#![no_main]

mod bounded;

use concordat_protocol::{
    grant::{GrantTerms, Notice},
    identity::{InstitutionKey, InstitutionPublicKey, PrivateKey},
    membership::{AddressRecord, CharterChange, Enrollment, NodeCertificate, Roster, SignedFile, from_file, to_armor},
    negotiation::NegotiationMessage,
    query::{ActorAssertion, QueryEnvelope, Receipt},
    signed::{CoSigned, Document, Signed},
    wire::messages::HelloStatement,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Nothing was ever signed with this key, so anything that verifies is a forgery.
    let key = InstitutionKey::from_seed(&[7; 32].into()).public();
    armored::<Signed<Enrollment>>(bytes);
    armored::<CoSigned<Roster>>(bytes);
    armored::<CoSigned<CharterChange>>(bytes);
    signed::<Enrollment>(bytes, key);
    cosigned::<Roster>(bytes, key);
    cosigned::<CharterChange>(bytes, key);
    signed::<HelloStatement>(bytes, key);
    signed::<AddressRecord>(bytes, key);
    signed::<NodeCertificate>(bytes, key);
    signed::<ActorAssertion>(bytes, key);
    signed::<QueryEnvelope>(bytes, key);
    signed::<Receipt>(bytes, key);
    signed::<Notice>(bytes, key);
    signed::<NegotiationMessage>(bytes, key);
    if let Ok(terms) = CoSigned::<GrantTerms>::from_bytes(bytes.to_vec()) {
        let _ = terms.peek_unverified();
        let _ = terms.payload_digest();
        assert!(terms.verify(&[key, key]).is_err(), "a forged agreement was accepted");
    }
});

fn armored<C: SignedFile>(bytes: &[u8]) {
    if let Ok(document) = from_file::<C>(bytes) {
        let again = from_file::<C>(to_armor(&document).as_bytes()).expect("armor can be read back");
        assert_eq!(again.signed_bytes(), document.signed_bytes());
    }
}

fn cosigned<T: Document>(bytes: &[u8], key: InstitutionPublicKey) {
    if let Ok(document) = CoSigned::<T>::from_bytes(bytes.to_vec()) {
        let _ = document.peek_unverified();
        assert!(
            document.verify_some(&[key], 1).is_err(),
            "a forged document was accepted as signed"
        );
    }
}

fn signed<T: Document>(bytes: &[u8], key: InstitutionPublicKey) {
    if let Ok(document) = Signed::<T>::from_bytes(bytes.to_vec()) {
        let _ = document.peek_unverified();
        let _ = document.digest();
        assert!(
            document.verify(key).is_err(),
            "a forged document was accepted as signed"
        );
    }
}
