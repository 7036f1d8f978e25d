//! Signed documents and the files in which they travel: no bytes make their readers panic, none is ever taken for signed, and what
//! is put into armour comes out of it.

#![no_main]

mod bounded;

use concordat_protocol::{
    grant::{GrantTerms, Notice},
    identity::{InstitutionKey, InstitutionPublicKey, PrivateKey},
    membership::{Carrier, CharterChange, Enrolment, NodeCertificate, Roster, from_file, to_armour},
    negotiation::NegotiationMessage,
    query::{ActorAssertion, QueryEnvelope, Receipt},
    signed::{CoSigned, Document, Signed},
    wire::messages::HelloStatement,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Nobody has signed anything with this key, so that whatever verifies is forged.
    let key = InstitutionKey::from_seed(&[7; 32].into()).public();
    armoured::<Signed<Enrolment>>(bytes);
    armoured::<CoSigned<Roster>>(bytes);
    armoured::<CoSigned<CharterChange>>(bytes);
    signed::<Enrolment>(bytes, key);
    cosigned::<Roster>(bytes, key);
    cosigned::<CharterChange>(bytes, key);
    signed::<HelloStatement>(bytes, key);
    signed::<NodeCertificate>(bytes, key);
    signed::<ActorAssertion>(bytes, key);
    signed::<QueryEnvelope>(bytes, key);
    signed::<Receipt>(bytes, key);
    signed::<Notice>(bytes, key);
    signed::<NegotiationMessage>(bytes, key);
    if let Ok(terms) = CoSigned::<GrantTerms>::from_bytes(bytes.to_vec()) {
        let _ = terms.peek_unverified();
        let _ = terms.payload_digest();
        assert!(
            terms.verify(&[key, key]).is_err(),
            "a forged agreement was taken for one"
        );
    }
});

fn armoured<C: Carrier>(bytes: &[u8]) {
    if let Ok(document) = from_file::<C>(bytes) {
        let again = from_file::<C>(to_armour(&document).as_bytes()).expect("armour is read back");
        assert_eq!(again.carried(), document.carried());
    }
}

fn cosigned<T: Document>(bytes: &[u8], key: InstitutionPublicKey) {
    if let Ok(document) = CoSigned::<T>::from_bytes(bytes.to_vec()) {
        let _ = document.peek_unverified();
        assert!(
            document.verify_some(&[key], 1).is_err(),
            "a forged document was taken for signed"
        );
    }
}

fn signed<T: Document>(bytes: &[u8], key: InstitutionPublicKey) {
    if let Ok(document) = Signed::<T>::from_bytes(bytes.to_vec()) {
        let _ = document.peek_unverified();
        let _ = document.digest();
        assert!(document.verify(key).is_err(), "a forged document was taken for signed");
    }
}
