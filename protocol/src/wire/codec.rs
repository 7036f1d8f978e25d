//! How one message becomes bytes: a length, then CBOR.
//!
//! ```text
//! frame = length (u32, big-endian) | body (CBOR, RFC 8949, `length` bytes)
//! ```
//!
//! Reading has three steps, the cheap ones first, and each can refuse the frame:
//!
//! 1. [`frame_len`] looks at the four length bytes and refuses more than the message type's [`Frame::MAX`]. Nothing has
//!    been allocated yet, so a peer that announces 4 GiB costs four bytes.
//! 2. The caller reads exactly that many bytes.
//! 3. [`decode`] refuses bodies that nest deeper than [`MAX_DEPTH`], that do not match the type (message types carry
//!    `deny_unknown_fields`), that continue after the value, and those in another encoding than the only one that is sent.
//!
//! Signed bytes are transmitted inside frames as byte strings and checked unchanged: they are never encoded again.

use serde::{Serialize, de::DeserializeOwned};

use crate::signed::{MAX_DEPTH, is_encoding_of};

/// Bytes that announce the length of a frame's body.
pub const HEADER_LEN: usize = 4;

/// A message that is sent in a frame of its own.
pub trait Frame: Serialize + DeserializeOwned {
    /// Largest encoded body, in bytes, that is sent or accepted.
    const MAX: usize;
}

/// Why bytes are not a frame, or a message cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length is above the maximum of the message type.
    #[error("frame of {len} bytes is longer than the {max} bytes allowed")]
    TooLong {
        /// Announced or produced length of the body in bytes.
        len: usize,
        /// The type's [`Frame::MAX`].
        max: usize,
    },
    /// The body continues after the end of the message.
    #[error("{extra} bytes follow the end of the message")]
    Trailing {
        /// Number of bytes left over.
        extra: usize,
    },
    /// The body nests deeper than [`MAX_DEPTH`].
    #[error("message nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The body ends in the middle of a value.
    #[error("message ends too early")]
    Truncated,
    /// The body is not CBOR, or not the message that was expected.
    #[error("message is malformed: {reason}")]
    Malformed {
        /// What the decoder objected to; names fields and types, never values.
        reason: String,
    },
    /// The body is such a message in another encoding than the only one that is accepted: for example with a key twice.
    #[error("message is not encoded in the one form that its content has")]
    Encoding,
    /// The message cannot be encoded; this side is responsible.
    #[error("message cannot be encoded: {reason}")]
    Unencodable {
        /// What the encoder objected to.
        reason: String,
    },
}

/// The frame of `message`: header and body in one buffer, ready to be written.
///
/// # Errors
/// [`WireError::TooLong`] above [`Frame::MAX`]; [`WireError::Unencodable`] if the type refuses to serialize.
pub fn encode<F: Frame>(message: &F) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![0; HEADER_LEN];
    ciborium::into_writer(message, &mut frame).map_err(|error| WireError::Unencodable {
        reason: error.to_string(),
    })?;
    let len = frame.len().saturating_sub(HEADER_LEN);
    let header = header::<F>(len)?;
    for (slot, byte) in frame.iter_mut().zip(header) {
        *slot = byte;
    }
    Ok(frame)
}

/// The length of the body that `header` announces, in bytes.
///
/// # Errors
/// [`WireError::TooLong`] above [`Frame::MAX`].
pub fn frame_len<F: Frame>(header: [u8; HEADER_LEN]) -> Result<usize, WireError> {
    let len = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if len > F::MAX {
        return Err(WireError::TooLong { len, max: F::MAX });
    }
    Ok(len)
}

/// The message in `body`, which is a whole body without its header.
///
/// # Errors
/// Every way in which a body can differ from exactly one message of type `F` within its limits.
pub fn decode<F: Frame>(body: &[u8]) -> Result<F, WireError> {
    if body.len() > F::MAX {
        return Err(WireError::TooLong {
            len: body.len(),
            max: F::MAX,
        });
    }
    let mut rest = body;
    let message = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).map_err(refusal)?;
    match rest.len() {
        0 if is_encoding_of(&message, body) => Ok(message),
        0 => Err(WireError::Encoding),
        extra => Err(WireError::Trailing { extra }),
    }
}

fn header<F: Frame>(len: usize) -> Result<[u8; HEADER_LEN], WireError> {
    let too_long = WireError::TooLong { len, max: F::MAX };
    if len > F::MAX {
        return Err(too_long);
    }
    u32::try_from(len).map(u32::to_be_bytes).map_err(|_| too_long)
}

fn refusal(error: ciborium::de::Error<std::io::Error>) -> WireError {
    match error {
        ciborium::de::Error::Io(_) => WireError::Truncated,
        ciborium::de::Error::Syntax(offset) => WireError::Malformed {
            reason: format!("invalid CBOR at byte {offset}"),
        },
        ciborium::de::Error::Semantic(_, reason) => WireError::Malformed { reason },
        ciborium::de::Error::RecursionLimitExceeded => WireError::TooDeep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Note {
        number: u64,
        text: String,
        tags: Vec<String>,
    }

    impl Frame for Note {
        const MAX: usize = 256;
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct LongerNote {
        number: u64,
        text: String,
        tags: Vec<String>,
        extra: bool,
    }

    impl Frame for LongerNote {
        const MAX: usize = 1024;
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Nest(Vec<Self>);

    impl Frame for Nest {
        const MAX: usize = 1 << 20;
    }

    fn note() -> Note {
        Note {
            number: 7,
            text: "meet".into(),
            tags: vec!["a".into()],
        }
    }

    fn body<F: Frame>(message: &F) -> Vec<u8> {
        encode(message).unwrap().split_off(HEADER_LEN)
    }

    #[test]
    fn a_frame_is_a_big_endian_length_and_the_body() {
        let frame = encode(&note()).unwrap();
        let header: [u8; HEADER_LEN] = frame[..HEADER_LEN].try_into().unwrap();
        assert_eq!(frame_len::<Note>(header), Ok(frame.len() - HEADER_LEN));
        assert_eq!(decode::<Note>(&frame[HEADER_LEN..]), Ok(note()));
    }

    #[test]
    fn four_gibibytes_are_refused_at_the_header() {
        assert_eq!(
            frame_len::<Note>([0xff; HEADER_LEN]),
            Err(WireError::TooLong {
                len: u32::MAX as usize,
                max: Note::MAX
            })
        );
        assert_eq!(frame_len::<Note>(256u32.to_be_bytes()), Ok(256));
        assert!(frame_len::<Note>(257u32.to_be_bytes()).is_err());
    }

    #[test]
    fn a_message_above_its_maximum_is_neither_sent_nor_read() {
        let long = Note {
            text: "x".repeat(300),
            ..note()
        };
        assert!(matches!(encode(&long), Err(WireError::TooLong { max: Note::MAX, .. })));
        assert!(matches!(
            decode::<Note>(&[0; 257]),
            Err(WireError::TooLong { len: 257, .. })
        ));
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        let mut longer = body(&note());
        longer.extend([0, 0]);
        assert_eq!(decode::<Note>(&longer), Err(WireError::Trailing { extra: 2 }));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let longer = LongerNote {
            number: 7,
            text: String::new(),
            tags: vec![],
            extra: true,
        };
        assert!(matches!(
            decode::<Note>(&body(&longer)),
            Err(WireError::Malformed { .. })
        ));
    }

    #[test]
    fn message_in_another_encoding_is_refused() {
        assert!(decode::<Note>(b"\xa3\x66number\x07\x64text\x64meet\x64tags\x81\x61a").is_ok());
        for other in [
            b"\xa3\x66number\x18\x07\x64text\x64meet\x64tags\x81\x61a".as_slice(),
            b"\xa3\x66number\x07\x64text\x64meet\x64tags\x9f\x61a\xff",
            b"\xa3\x64text\x64meet\x66number\x07\x64tags\x81\x61a",
        ] {
            assert_eq!(decode::<Note>(other), Err(WireError::Encoding), "{other:x?}");
        }
    }

    #[test]
    fn a_message_that_ends_early_is_refused() {
        let whole = body(&note());
        assert_eq!(decode::<Note>(&whole[..whole.len() - 1]), Err(WireError::Truncated));
        assert_eq!(decode::<Note>(&[]), Err(WireError::Truncated));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0x80]].concat();
        assert!(decode::<Nest>(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(decode::<Nest>(&nested(MAX_DEPTH)).unwrap_err(), WireError::TooDeep);
        assert_eq!(decode::<Nest>(&nested(1 << 19)).unwrap_err(), WireError::TooDeep);
    }

    #[test]
    fn a_list_that_claims_more_than_it_holds_is_refused() {
        // map(3), then "number": 0, "text": "", "tags": array of 2^32 - 1 elements
        let lie = b"\xa3\x66number\x00\x64text\x60\x64tags\x9a\xff\xff\xff\xff";
        assert_eq!(decode::<Note>(lie), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn every_message_survives_encoding(number: u64, text in "\\PC{0,20}", tags in prop::collection::vec("[a-z]{0,4}", 0..8)) {
            let message = Note { number, text, tags };
            prop_assert_eq!(decode::<Note>(&body(&message)), Ok(message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode::<Note>(&bytes);
        }
    }
}
