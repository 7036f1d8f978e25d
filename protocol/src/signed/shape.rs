//! The outer structure of a signed message, checked before it is parsed.
//!
//! The COSE parser builds a tree of everything around the document, and a tree takes thirty times the memory of its bytes.
//! Therefore the number of these bytes is limited: an array of four, of which the first and the third are byte strings, the second
//! is an empty map, and the fourth is small.

use super::{error::SignatureError, limits::MAX_DOCUMENT};

/// Most bytes of either part beside the document; the signatures of a document with the most signers take less than 1 KiB.
const MAX_BESIDE: usize = 4096;
/// An array of four.
const FOUR: u8 = 0x84;
/// An empty map: there are no unsigned headers.
const NO_HEADERS: u8 = 0xa0;

/// Checks that all parts except the document are short.
pub(super) fn check(bytes: &[u8]) -> Result<(), SignatureError> {
    let checked = || {
        let protected = after(bytes, FOUR)?;
        let unprotected = after_string(protected, MAX_BESIDE)?;
        let document = after(unprotected, NO_HEADERS)?;
        let signatures = after_string(document, MAX_DOCUMENT)?;
        (signatures.len() <= MAX_BESIDE).then_some(())
    };
    checked().ok_or(SignatureError::Malformed)
}

fn after(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    (*first == byte).then_some(rest)
}

/// What follows a byte string of at most `max` bytes (RFC 8949, section 3).
fn after_string(bytes: &[u8], max: usize) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first()?;
    let (length, rest) = match head {
        0x40..=0x57 => (usize::from(head - 0x40), rest),
        0x58 => number::<1>(rest)?,
        0x59 => number::<2>(rest)?,
        0x5a => number::<4>(rest)?,
        _ => return None,
    };
    rest.get(length..).filter(|_| length <= max)
}

fn number<const N: usize>(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<N>()?;
    let number = digits
        .iter()
        .fold(0_usize, |number, digit| (number << 8) | usize::from(*digit));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[u8] = b"\x84\x43\xa1\x01\x27\xa0\x43doc\x42ok";

    #[test]
    fn the_parts_beside_the_document_are_short() {
        assert_eq!(check(VALID), Ok(()));
        let long = |head: &[u8]| [head, &[0; 5000]].concat();
        for bad in [
            b"".to_vec(),
            b"\x84".to_vec(),
            b"\x85\x43\xa1\x01\x27\xa0\x43doc\x42ok".to_vec(),
            b"\x84\x43\xa1\x01\x27\xa1\x01\x01\x43doc\x42ok".to_vec(),
            b"\x84\x5b\x00\x00\x00\x00\x00\x00\x00\x01\x00\xa0\x43doc\x42ok".to_vec(),
            b"\x84\x5f\x41\x00\xff\xa0\x43doc\x42ok".to_vec(),
            b"\x84\x43\xa1\x01\x27\xa0\x5a\xff\xff\xff\xffdoc".to_vec(),
            b"\x84\x43\xa1\x01\x27\xa0\xf6\x42ok".to_vec(),
            long(b"\x84\x59\x13\x88"),
            long(b"\x84\x43\xa1\x01\x27\xa0\x43doc\x99\x13\x87"),
        ] {
            assert_eq!(check(&bad), Err(SignatureError::Malformed), "{bad:x?}");
        }
    }
}
