//! Signed files as text that survives email: base64 between two marker lines. Readers accept raw bytes as well.

use data_encoding::BASE64;

use super::{CharterChange, Enrollment, Roster};
use crate::signed::{CoSigned, Document, MAX_DOCUMENT, SignatureError, Signed};

/// Characters on one line of base64: the length that mail programs do not change (RFC 7468).
const LINE: usize = 64;
/// Longest armored file in bytes: base64 adds a third, and email adds some text around it.
const MAX_ARMOR: usize = 2 * MAX_DOCUMENT;

/// A signed document that is exchanged as a file.
pub trait Armored: Document {
    /// The title in the marker lines.
    const TITLE: &'static str;
}

impl Armored for Roster {
    const TITLE: &'static str = "ROSTER";
}

impl Armored for Enrollment {
    const TITLE: &'static str = "ENROLLMENT";
}

impl Armored for CharterChange {
    const TITLE: &'static str = "CHARTER";
}

/// The signed bytes of such a document, with one signer or several.
pub trait SignedFile: Sized {
    /// The document.
    type Document: Armored;

    /// The encoded bytes.
    fn signed_bytes(&self) -> &[u8];

    /// Takes the received bytes.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`].
    fn from_signed_bytes(bytes: Vec<u8>) -> Result<Self, SignatureError>;
}

impl<T: Armored> SignedFile for Signed<T> {
    type Document = T;

    fn signed_bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_signed_bytes(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        Self::from_bytes(bytes)
    }
}

impl<T: Armored> SignedFile for CoSigned<T> {
    type Document = T;

    fn signed_bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_signed_bytes(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        Self::from_bytes(bytes)
    }
}

/// The document as text for an email.
pub fn to_armor<C: SignedFile>(signed: &C) -> String {
    let mut text = format!("-----BEGIN CONCORDAT {}-----\n", C::Document::TITLE);
    for (position, character) in BASE64.encode(signed.signed_bytes()).chars().enumerate() {
        if position > 0 && position % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END CONCORDAT {}-----\n", C::Document::TITLE));
    text
}

/// Reads the content of a file: raw COSE bytes, or armor with any text around it. Nothing is verified yet.
///
/// # Errors
/// [`ArmorError`] when it is too large, damaged, or a file of another kind.
pub fn from_file<C: SignedFile>(content: &[u8]) -> Result<C, ArmorError> {
    if content.len() > MAX_ARMOR {
        return Err(ArmorError::Document(SignatureError::TooLarge));
    }
    let text = std::str::from_utf8(content)
        .ok()
        .filter(|text| text.contains("-----BEGIN CONCORDAT "));
    let bytes = match text {
        Some(text) => unwrap_armor(text, C::Document::TITLE)?,
        None => content.to_vec(),
    };
    C::from_signed_bytes(bytes).map_err(ArmorError::Document)
}

fn unwrap_armor(text: &str, title: &'static str) -> Result<Vec<u8>, ArmorError> {
    let begin = format!("-----BEGIN CONCORDAT {title}-----");
    let end = format!("-----END CONCORDAT {title}-----");
    let (_, rest) = text
        .split_once(&begin)
        .ok_or(ArmorError::OtherKind { expected: title })?;
    let (body, _) = rest.split_once(&end).ok_or(ArmorError::Damaged)?;
    let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(base64.as_bytes()).map_err(|_| ArmorError::Damaged)
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// The marker lines name another kind of document.
    #[error("the file is of another kind; a CONCORDAT {expected} is expected")]
    OtherKind {
        /// What is expected.
        expected: &'static str,
    },
    /// The end is missing or characters were changed in transit.
    #[error("the file was truncated or changed in transit; ask for it again")]
    Damaged,
    /// The bytes are not a signed document.
    #[error("the file does not contain a signed document")]
    Document(#[source] SignatureError),
}
