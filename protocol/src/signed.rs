//! COSE signatures over the bytes as transmitted (RFC 9052).
//!
//! 1. A document is encoded once, by its first signer. These bytes are transmitted and never encoded again.
//! 2. [`Signed`] holds the bytes of a `COSE_Sign1` whose signature has not been checked. The only way to the content is
//!    [`Signed::verify`] with the expected key, which returns a [`Verified`].
//! 3. [`CoSigned`] is the same for documents with several signers (`COSE_Sign`): grants and receipts.
//! 4. A document is accepted in one encoding only (`encoding.rs`, `shape.rs`), so a digest identifies a content.
//! 5. The document's [`DomainLabel`] is external additional data of every signature, so a signature on one kind of document is
//!    invalid on any other.

mod carried;
mod checked;
mod cosigned;
mod encoding;
mod error;
mod limits;
mod shape;

use std::marker::PhantomData;

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use serde::Serialize;
use serde::de::DeserializeOwned;

use carried::carried_as_bytes;
pub use cosigned::{CoSigned, CoVerified};
pub(crate) use encoding::is_encoding_of;
pub use error::SignatureError;
pub use limits::{MAX_DEPTH, MAX_DOCUMENT};

use crate::identity::{PrivateKey, PublicKey};
use crate::ids::Digest32;
use crate::labels::{self, DomainLabel};

/// A document that can be signed.
pub trait Document: Serialize + DeserializeOwned {
    /// What a signature on it is about.
    const LABEL: DomainLabel;
}

/// A signed document whose signature has not been checked against an expected key.
pub struct Signed<T> {
    bytes: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: Document> Signed<T> {
    /// Encodes `document` and signs it.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`] above [`MAX_DOCUMENT`]; [`SignatureError::Malformed`] if it cannot be encoded.
    pub fn sign<K: PrivateKey>(document: &T, key: &K) -> Result<Verified<T, K::Public>, SignatureError>
    where
        T: Clone,
    {
        let sign1 = CoseSign1Builder::new()
            .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
            .payload(encode(document)?)
            .create_signature(T::LABEL.as_str().as_bytes(), |message| key.sign(message))
            .build();
        let bytes = sign1.to_vec().map_err(|_| SignatureError::Malformed)?;
        let signed = Self::from_bytes(bytes)?;
        Ok(Verified {
            document: document.clone(),
            signer: key.public(),
            signed,
        })
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

    /// Identifies this document: SHA-256 of its encoded bytes.
    pub fn digest(&self) -> Digest32 {
        Digest32::sha256(labels::DOCUMENT_HASH, &self.bytes)
    }

    /// Checks the signature by `key` and only then reads the document.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes are not such a document, [`SignatureError::WrongSignature`] if `key` did not
    /// sign them.
    pub fn verify<P: PublicKey>(self, key: P) -> Result<Verified<T, P>, SignatureError> {
        let sign1 = self.parse()?;
        sign1.verify_signature(T::LABEL.as_str().as_bytes(), |signature, message| {
            if checked::verifies(&key, message, signature) {
                Ok(())
            } else {
                Err(SignatureError::WrongSignature)
            }
        })?;
        let payload = sign1.payload.as_deref().ok_or(SignatureError::Malformed)?;
        Ok(Verified {
            document: decode(payload)?,
            signer: key,
            signed: self,
        })
    }

    /// Checks the signature against each of `keys`: the current and earlier keys of one signer.
    ///
    /// # Errors
    /// As [`Signed::verify`]; [`SignatureError::WrongSignature`] if none of them did.
    pub fn verify_any<P: PublicKey>(self, keys: &[P]) -> Result<Verified<T, P>, SignatureError> {
        let mut refused = SignatureError::WrongSignature;
        for key in keys {
            match self.clone().verify(*key) {
                Ok(verified) => return Ok(verified),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Reads the document *without* trusting it, to find out which key it claims to be signed with. Use the result only to
    /// choose the key for [`Signed::verify`].
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if the bytes are not such a document.
    pub fn peek_unverified(&self) -> Result<T, SignatureError> {
        decode(self.parse()?.payload.as_deref().ok_or(SignatureError::Malformed)?)
    }

    fn parse(&self) -> Result<CoseSign1, SignatureError> {
        shape::check_one(&self.bytes)?;
        CoseSign1::from_slice(&self.bytes).map_err(|_| SignatureError::Malformed)
    }
}

carried_as_bytes!(Signed);

/// A document whose signature by `signer` has been checked.
#[derive(Clone, Debug)]
pub struct Verified<T, P> {
    document: T,
    signer: P,
    signed: Signed<T>,
}

impl<T: Document, P: PublicKey> Verified<T, P> {
    /// The document.
    pub fn document(&self) -> &T {
        &self.document
    }

    /// Who signed it.
    pub fn signer(&self) -> P {
        self.signer
    }

    /// The signed bytes, to store or forward.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// Identifies this document: SHA-256 of its encoded bytes.
    pub fn digest(&self) -> Digest32 {
        self.signed.digest()
    }
}

pub(crate) fn encode<T: Serialize>(document: &T) -> Result<Vec<u8>, SignatureError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(document, &mut bytes).map_err(|_| SignatureError::Malformed)?;
    Ok(bytes)
}

/// Reads exactly one document in its one encoding: bytes left over are an error.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, SignatureError> {
    let mut rest = bytes;
    let document = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH);
    let document = document.map_err(|_| SignatureError::Malformed)?;
    if !rest.is_empty() {
        Err(SignatureError::Malformed)
    } else if is_encoding_of(&document, bytes) {
        Ok(document)
    } else {
        Err(SignatureError::Encoding)
    }
}

#[cfg(test)]
mod tests;
