//! Signed files as text that survives mail: base64 between two marked lines. Readers take raw bytes as well.

use data_encoding::BASE64;

use super::{CharterChange, Enrolment, Roster};
use crate::signed::{CoSigned, Document, MAX_DOCUMENT, SignatureError, Signed};

/// Characters on one line of base64: what mail programs leave alone (RFC 7468).
const LINE: usize = 64;
/// Longest armoured file in bytes: base64 adds a third, and mail adds some text around it.
const MAX_ARMOUR: usize = 2 * MAX_DOCUMENT;

/// A signed document that travels as a file.
pub trait Armoured: Document {
    /// What the marked lines call it.
    const TITLE: &'static str;
}

impl Armoured for Roster {
    const TITLE: &'static str = "ROSTER";
}

impl Armoured for Enrolment {
    const TITLE: &'static str = "ENROLMENT";
}

impl Armoured for CharterChange {
    const TITLE: &'static str = "CHARTER";
}

/// Signed bytes of such a document, with one signer or several.
pub trait Carrier: Sized {
    /// The document.
    type Document: Armoured;

    /// The bytes as carried.
    fn carried(&self) -> &[u8];

    /// Takes bytes as they came.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`].
    fn carry(bytes: Vec<u8>) -> Result<Self, SignatureError>;
}

impl<T: Armoured> Carrier for Signed<T> {
    type Document = T;

    fn carried(&self) -> &[u8] {
        self.as_bytes()
    }

    fn carry(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        Self::from_bytes(bytes)
    }
}

impl<T: Armoured> Carrier for CoSigned<T> {
    type Document = T;

    fn carried(&self) -> &[u8] {
        self.as_bytes()
    }

    fn carry(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        Self::from_bytes(bytes)
    }
}

/// The document as text to mail.
pub fn to_armour<C: Carrier>(signed: &C) -> String {
    let mut text = format!("-----BEGIN CONCORDAT {}-----\n", C::Document::TITLE);
    for (place, character) in BASE64.encode(signed.carried()).chars().enumerate() {
        if place > 0 && place % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END CONCORDAT {}-----\n", C::Document::TITLE));
    text
}

/// Takes the content of a file: raw COSE bytes, or armour with any text around it. Nothing is verified yet.
///
/// # Errors
/// [`ArmourError`] when it is too large, damaged, or a file of another kind.
pub fn from_file<C: Carrier>(content: &[u8]) -> Result<C, ArmourError> {
    if content.len() > MAX_ARMOUR {
        return Err(ArmourError::Document(SignatureError::TooLarge));
    }
    let text = std::str::from_utf8(content)
        .ok()
        .filter(|text| text.contains("-----BEGIN CONCORDAT "));
    let bytes = match text {
        Some(text) => unwrap_armour(text, C::Document::TITLE)?,
        None => content.to_vec(),
    };
    C::carry(bytes).map_err(ArmourError::Document)
}

fn unwrap_armour(text: &str, title: &'static str) -> Result<Vec<u8>, ArmourError> {
    let begin = format!("-----BEGIN CONCORDAT {title}-----");
    let end = format!("-----END CONCORDAT {title}-----");
    let (_, rest) = text
        .split_once(&begin)
        .ok_or(ArmourError::OtherKind { expected: title })?;
    let (body, _) = rest.split_once(&end).ok_or(ArmourError::Damaged)?;
    let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(base64.as_bytes()).map_err(|_| ArmourError::Damaged)
}

/// Why a file cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmourError {
    /// The marked lines name another kind of document.
    #[error("the file is of another kind; a CONCORDAT {expected} is expected")]
    OtherKind {
        /// What is expected.
        expected: &'static str,
    },
    /// The end is missing or characters were changed on the way.
    #[error("the file was cut or changed on the way; ask for it again")]
    Damaged,
    /// The bytes cannot be a signed document.
    #[error("the file holds no signed document")]
    Document(#[source] SignatureError),
}
