//! Why signed bytes are not accepted.

use super::limits::MAX_DOCUMENT;

/// Why signed bytes are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// More than [`MAX_DOCUMENT`] bytes.
    #[error("the signed document is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// Not COSE, not Ed25519, or not the expected kind of document.
    #[error("the bytes are not a signed document of the expected kind")]
    Malformed,
    /// The content is that of such a document, in another encoding than the only one that is accepted: for example with a key twice.
    #[error("the signed document is not encoded in the one form that its content has")]
    Encoding,
    /// The expected key did not sign these bytes for this purpose.
    #[error("the signature does not belong to the expected key")]
    WrongSignature,
    /// A required signature is missing.
    #[error("a required signature is missing")]
    MissingSignature,
}
