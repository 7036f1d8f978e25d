//! Checks of a line before it is read as JSON, as those of a CSV record.

use memchr::memchr;

use crate::ingest::{
    error::IngestError,
    options::{Refused, TextEncoding},
    rejects::{Reason, Reject},
    text::UNKNOWN_ENCODING,
};

/// Whether nothing is on a line.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// The text of a line that begins at byte `offset` of the file's text.
///
/// # Errors
/// [`Reason::ZeroByte`] or [`Reason::InvalidBytes`].
pub(super) fn check_text(line: &[u8], offset: u64) -> Result<&str, Reason> {
    if memchr(0, line).is_some() {
        return Err(Reason::ZeroByte);
    }
    std::str::from_utf8(line).map_err(|error| Reason::InvalidBytes {
        offset: offset + error.valid_up_to() as u64,
    })
}

/// Invalid bytes usually mean that the file has another encoding, so they are an error unless rows may be skipped.
pub(super) fn check_encoding(reject: Reject, refused: Refused, encoding: TextEncoding) -> Result<(), IngestError> {
    match (refused, reject.reason) {
        (Refused::Stop, Reason::InvalidBytes { offset }) => Err(IngestError::Encoding {
            line: reject.line,
            offset,
            encoding: encoding.name(),
            remedy: UNKNOWN_ENCODING,
        }),
        _ => Ok(()),
    }
}
