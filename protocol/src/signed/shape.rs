//! The outer structure of a signed message, checked before it is parsed.
//!
//! Each document with the same signatures has exactly one form: every byte except the document, the keys and the signatures is fixed,
//! and lengths are in their shortest form. So the digest of a message identifies its content, and the COSE parser, whose tree takes
//! thirty times the memory of the bytes, sees nothing but what is expected.

use super::{
    error::SignatureError,
    limits::{MAX_DOCUMENT, MAX_SIGNATURES},
};

/// The protected header as a byte string: 1 (algorithm) is -8 (EdDSA).
const EDDSA: &[u8] = b"\x43\xa1\x01\x27";
/// The start of a signer's protected header as a byte string of 38 bytes: as above, and 4 (key id) is 32 bytes.
const EDDSA_WITH_KEY: &[u8] = b"\x58\x26\xa2\x01\x27\x04\x58\x20";
/// Length of a key.
const KEY: usize = 32;
/// The start of a signature as a byte string.
const SIGNATURE_HEAD: &[u8] = b"\x58\x40";
/// Length of a signature.
const SIGNATURE: usize = 64;

/// Checks the structure of a document with one signer.
pub(super) fn check_one(bytes: &[u8]) -> Result<(), SignatureError> {
    let checked = || {
        let rest = after(bytes, b"\x84")?;
        let rest = after(after(rest, EDDSA)?, b"\xa0")?;
        let rest = after_document(rest)?;
        after_signature(rest)?.is_empty().then_some(())
    };
    checked().ok_or(SignatureError::Malformed)
}

/// Checks the structure of a document with several signers.
pub(super) fn check_several(bytes: &[u8]) -> Result<(), SignatureError> {
    let checked = || {
        let rest = after(bytes, b"\x84\x40\xa0")?;
        let (head, mut rest) = after_document(rest)?.split_first()?;
        let signatures = usize::from(head.checked_sub(0x80)?);
        if signatures > MAX_SIGNATURES {
            return None;
        }
        for _ in 0..signatures {
            let key = after(after(rest, b"\x83")?, EDDSA_WITH_KEY)?;
            rest = after_signature(after(key.get(KEY..)?, b"\xa0")?)?;
        }
        rest.is_empty().then_some(())
    };
    checked().ok_or(SignatureError::Malformed)
}

fn after<'a>(bytes: &'a [u8], fixed: &[u8]) -> Option<&'a [u8]> {
    bytes.strip_prefix(fixed)
}

fn after_signature(bytes: &[u8]) -> Option<&[u8]> {
    after(bytes, SIGNATURE_HEAD)?.get(SIGNATURE..)
}

/// What follows a byte string of at most [`MAX_DOCUMENT`] bytes, whose length is in its shortest form (RFC 8949, section 3).
fn after_document(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first()?;
    let (length, rest, shortest) = match head {
        0x40..=0x57 => (usize::from(head - 0x40), rest, 0),
        0x58 => number::<1>(rest, 24)?,
        0x59 => number::<2>(rest, 0x100)?,
        0x5a => number::<4>(rest, 0x1_0000)?,
        _ => return None,
    };
    rest.get(length..)
        .filter(|_| (shortest..=MAX_DOCUMENT).contains(&length))
}

/// A number of `N` bytes, what follows, and the least number that needs them.
fn number<const N: usize>(bytes: &[u8], least: usize) -> Option<(usize, &[u8], usize)> {
    let (digits, rest) = bytes.split_first_chunk::<N>()?;
    let number = digits
        .iter()
        .fold(0_usize, |number, digit| (number << 8) | usize::from(*digit));
    Some((number, rest, least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: [u8; 66] = {
        let mut signed = [7; 66];
        (signed[0], signed[1]) = (0x58, 0x40);
        signed
    };

    fn one(protected: &[u8], unprotected: &[u8], document: &[u8], signature: &[u8]) -> Vec<u8> {
        [b"\x84", protected, unprotected, document, signature].concat()
    }

    fn signer() -> Vec<u8> {
        [b"\x83", EDDSA_WITH_KEY, &[9; 32], b"\xa0", &SIGNED].concat()
    }

    fn several(signatures: &[u8]) -> Vec<u8> {
        [b"\x84\x40\xa0\x43doc", signatures].concat()
    }

    #[test]
    fn signed_bytes_have_one_form() {
        let long = |head: &[u8], length: usize| [head, &vec![0; length]].concat();
        for document in [
            b"\x40".to_vec(),
            b"\x43doc".to_vec(),
            long(b"\x58\x18", 24),
            long(b"\x58\xff", 255),
            long(b"\x59\x01\x00", 256),
            long(b"\x5a\x00\x01\x00\x00", 0x1_0000),
        ] {
            assert_eq!(check_one(&one(EDDSA, b"\xa0", &document, &SIGNED)), Ok(()));
        }
        for other in [
            Vec::new(),
            b"\x84".to_vec(),
            // Other headers: none, unsigned ones, a longer number for the algorithm, a further entry.
            one(b"\x40", b"\xa0", b"\x43doc", &SIGNED),
            one(EDDSA, b"\xa1\x01\x01", b"\x43doc", &SIGNED),
            one(b"\x44\xa1\x18\x01\x27", b"\xa0", b"\x43doc", &SIGNED),
            one(b"\x45\xa2\x01\x27\x02\x80", b"\xa0", b"\x43doc", &SIGNED),
            // Longer lengths than needed, indefinite ones, and no document.
            one(b"\x58\x03\xa1\x01\x27", b"\xa0", b"\x43doc", &SIGNED),
            one(EDDSA, b"\xa0", b"\x58\x03doc", &SIGNED),
            one(EDDSA, b"\xa0", b"\x59\x00\x03doc", &SIGNED),
            one(EDDSA, b"\xa0", &long(b"\x59\x00\xff", 255), &SIGNED),
            one(EDDSA, b"\xa0", &long(b"\x5a\x00\x00\xff\xff", 0xffff), &SIGNED),
            one(EDDSA, b"\xa0", b"\x5b\x00\x00\x00\x00\x00\x00\x00\x03doc", &SIGNED),
            one(EDDSA, b"\xa0", b"\x5f\x43doc\xff", &SIGNED),
            one(EDDSA, b"\xa0", b"\xf6", &SIGNED),
            one(EDDSA, b"\xa0", b"\x5a\xff\xff\xff\xffdoc", b""),
            // Another signature length, and bytes that follow.
            one(EDDSA, b"\xa0", b"\x43doc", b"\x42ok"),
            one(EDDSA, b"\xa0", b"\x43doc", &long(b"\x59\x00\x40", 64)),
            one(EDDSA, b"\xa0", b"\x43doc", &[&SIGNED[..], b"\x00"].concat()),
        ] {
            assert_eq!(check_one(&other), Err(SignatureError::Malformed), "{other:x?}");
        }
    }

    #[test]
    fn cosigned_bytes_have_one_form() {
        for count in 0..=MAX_SIGNATURES {
            let head = [0x80 + u8::try_from(count).unwrap()];
            assert_eq!(
                check_several(&several(&[&head[..], &signer().repeat(count)].concat())),
                Ok(())
            );
        }
        let unsigned_header = [b"\x83", EDDSA_WITH_KEY, &[9; 32], b"\xa1\x01\x01", &SIGNED].concat();
        let longer = [b"\x83\x59\x00\x26", &EDDSA_WITH_KEY[2..], &[9; 32], b"\xa0", &SIGNED].concat();
        for other in [
            several(b""),
            several(&[b"\x89", signer().repeat(9).as_slice()].concat()),
            several(&[b"\x98\x01", signer().as_slice()].concat()),
            several(&[b"\x9f", signer().as_slice(), b"\xff"].concat()),
            several(&[b"\x81", signer().as_slice(), b"\x00"].concat()),
            several(&[b"\x82", signer().as_slice()].concat()),
            several(&[b"\x81", unsigned_header.as_slice()].concat()),
            several(&[b"\x81", longer.as_slice()].concat()),
            [b"\x84\x41\xa0\xa0\x43doc\x81", signer().as_slice()].concat(),
        ] {
            assert_eq!(check_several(&other), Err(SignatureError::Malformed), "{other:x?}");
        }
    }
}
