//! Documents with several signers (`COSE_Sign`, RFC 9052 section 4.1).

use std::marker::PhantomData;

use coset::{CborSerializable, CoseSign, CoseSignBuilder, CoseSignatureBuilder, HeaderBuilder, iana};

use super::{
    Document, MAX_DOCUMENT, SignatureError, carried::carried_as_bytes, checked, decode, encode, limits::MAX_SIGNATURES,
    shape,
};
use crate::identity::{PrivateKey, PublicKey};
use crate::ids::Digest32;
use crate::labels;

/// A document that several parties sign: the same payload bytes for all of them.
pub struct CoSigned<T> {
    pub(super) bytes: Vec<u8>,
    pub(super) of: PhantomData<fn() -> T>,
}

carried_as_bytes!(CoSigned);

impl<T: Document> CoSigned<T> {
    /// Encodes `document`; this is the only time that it is encoded. It has no signatures yet.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`] or [`SignatureError::Malformed`] if it cannot be encoded.
    pub fn propose(document: &T) -> Result<Self, SignatureError> {
        let sign = CoseSignBuilder::new().payload(encode(document)?).build();
        Self::from_bytes(sign.to_vec().map_err(|_| SignatureError::Malformed)?)
    }

    /// Adds the signature of `key` over the encoded payload.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes are not such a document or have too many signatures.
    pub fn add_signature<K: PrivateKey>(&self, key: &K) -> Result<Self, SignatureError> {
        let mut sign = self.parse()?;
        let mut signature = CoseSignatureBuilder::new()
            .protected(
                HeaderBuilder::new()
                    .algorithm(iana::Algorithm::EdDSA)
                    .key_id(key.public().key_bytes().to_vec())
                    .build(),
            )
            .build();
        let message = sign.tbs_data(T::LABEL.as_str().as_bytes(), &signature);
        signature.signature = key.sign(&message);
        sign.signatures.push(signature);
        if sign.signatures.len() > MAX_SIGNATURES {
            return Err(SignatureError::Malformed);
        }
        Self::from_bytes(sign.to_vec().map_err(|_| SignatureError::Malformed)?)
    }

    /// Takes the received bytes; only their length is checked.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`] above [`MAX_DOCUMENT`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        if bytes.len() > MAX_DOCUMENT {
            Err(SignatureError::TooLarge)
        } else {
            Ok(Self { bytes, of: PhantomData })
        }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Identifies the document: SHA-256 of the encoded payload, the same before and after further signatures.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes are not such a document.
    pub fn payload_digest(&self) -> Result<Digest32, SignatureError> {
        Ok(Digest32::sha256(labels::DOCUMENT_HASH, &self.payload()?))
    }

    /// Checks that every one of `keys` has signed, and only then reads the document.
    ///
    /// # Errors
    /// [`SignatureError::MissingSignature`] if one of them has not, [`SignatureError::WrongSignature`] if a signature that
    /// names one of them was not made by it.
    pub fn verify<P: PublicKey>(self, keys: &[P]) -> Result<CoVerified<T>, SignatureError> {
        let sign = self.parse()?;
        for key in keys {
            check_one(&sign, *key, T::LABEL.as_str())?;
        }
        Ok(CoVerified {
            document: decode(&self.payload()?)?,
            signed: self,
        })
    }

    /// How many of `keys` have signed. A signature that names one of them but was not made by it is an error, regardless of
    /// the others.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] and [`SignatureError::WrongSignature`].
    pub fn signed_by<P: PublicKey>(&self, keys: &[P]) -> Result<usize, SignatureError> {
        let sign = self.parse()?;
        let mut signed: Vec<P> = Vec::new();
        for key in keys {
            match check_one(&sign, *key, T::LABEL.as_str()) {
                Ok(()) if !signed.contains(key) => signed.push(*key),
                Ok(()) | Err(SignatureError::MissingSignature) => {}
                Err(wrong) => return Err(wrong),
            }
        }
        Ok(signed.len())
    }

    /// Checks that at least `needed` different keys of `keys` have signed, and only then reads the document.
    ///
    /// # Errors
    /// As [`CoSigned::verify`].
    pub fn verify_some<P: PublicKey>(self, keys: &[P], needed: usize) -> Result<CoVerified<T>, SignatureError> {
        if needed == 0 || self.signed_by(keys)? < needed {
            return Err(SignatureError::MissingSignature);
        }
        Ok(CoVerified {
            document: decode(&self.payload()?)?,
            signed: self,
        })
    }

    /// Reads the document *without* trusting it, to find out whose signatures to require.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes are not such a document.
    pub fn peek_unverified(&self) -> Result<T, SignatureError> {
        decode(&self.payload()?)
    }

    fn parse(&self) -> Result<CoseSign, SignatureError> {
        shape::check_several(&self.bytes)?;
        CoseSign::from_slice(&self.bytes).map_err(|_| SignatureError::Malformed)
    }

    fn payload(&self) -> Result<Vec<u8>, SignatureError> {
        self.parse()?.payload.ok_or(SignatureError::Malformed)
    }
}

fn check_one<P: PublicKey>(sign: &CoseSign, key: P, label: &str) -> Result<(), SignatureError> {
    let expected_id = key.key_bytes();
    let which = sign
        .signatures
        .iter()
        .position(|signature| signature.protected.header.key_id == expected_id)
        .ok_or(SignatureError::MissingSignature)?;
    sign.verify_signature(which, label.as_bytes(), |signature, message| {
        if checked::verifies(&key, message, signature) {
            Ok(())
        } else {
            Err(SignatureError::WrongSignature)
        }
    })
}

/// A document that all required parties have signed.
#[derive(Clone, Debug)]
pub struct CoVerified<T> {
    document: T,
    signed: CoSigned<T>,
}

impl<T: Document> CoVerified<T> {
    /// The document.
    pub fn document(&self) -> &T {
        &self.document
    }

    /// The signed bytes, to store or forward.
    pub fn signed(&self) -> &CoSigned<T> {
        &self.signed
    }

    /// The document and the signed bytes, for a type whose values are valid too.
    pub(crate) fn into_parts(self) -> (T, CoSigned<T>) {
        (self.document, self.signed)
    }
}
