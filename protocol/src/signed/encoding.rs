//! One encoding for each content: documents and messages of peers are accepted only as the bytes that this program writes for them.
//!
//! CBOR has many encodings of one content: lengths and numbers in longer forms, keys in another order or twice, of which one reader
//! uses the first and another the last, sets with an element twice. All of them are refused in one place, whatever the type: a value
//! that was read is written again, and the bytes are compared. Nothing else is done with what is written here: signatures and hashes
//! are always over the bytes as received.

use std::io;

use serde::Serialize;

/// Whether `bytes` are the encoding of `value`.
pub(crate) fn is_encoding_of<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    let mut expected = Expected { rest: bytes };
    ciborium::into_writer(value, &mut expected).is_ok() && expected.rest.is_empty()
}

/// Compares what is written with the bytes that are expected, and fails at the first difference.
struct Expected<'a> {
    rest: &'a [u8],
}

impl io::Write for Expected<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.rest = self
            .rest
            .strip_prefix(written)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[derive(Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        map: BTreeMap<String, u64>,
        set: BTreeSet<u64>,
        value: Option<f64>,
    }

    fn accepted(bytes: &[u8]) -> bool {
        let read: Document = ciborium::from_reader(bytes).expect("an encoding that the parser accepts");
        is_encoding_of(&read, bytes)
    }

    #[test]
    fn each_content_has_one_encoding() {
        let document =
            |map: &[u8], set: &[u8], value: &[u8]| [b"\xa3\x63map", map, b"\x63set", set, b"\x65value", value].concat();
        assert!(accepted(&document(
            b"\xa2\x61a\x01\x61b\x18\x20",
            b"\x82\x01\x02",
            b"\xf9\x3c\x00"
        )));
        for (what, other) in [
            ("a key twice", document(b"\xa2\x61a\x01\x61a\x02", b"\x80", b"\xf6")),
            (
                "a key twice with one value",
                document(b"\xa2\x61a\x01\x61a\x01", b"\x80", b"\xf6"),
            ),
            (
                "keys in another order",
                document(b"\xa2\x61b\x01\x61a\x02", b"\x80", b"\xf6"),
            ),
            ("an element twice", document(b"\xa0", b"\x82\x01\x01", b"\xf6")),
            ("elements in another order", document(b"\xa0", b"\x82\x02\x01", b"\xf6")),
            ("a longer length", document(b"\xb8\x00", b"\x80", b"\xf6")),
            ("a longer number", document(b"\xa0", b"\x81\x18\x01", b"\xf6")),
            (
                "a longer floating-point number",
                document(b"\xa0", b"\x80", b"\xfa\x3f\x80\x00\x00"),
            ),
            ("an indefinite length", document(b"\xa0", b"\x9f\x01\xff", b"\xf6")),
            ("a tag", document(b"\xa0", b"\xc6\x80", b"\xf6")),
            ("undefined for null", document(b"\xa0", b"\x80", b"\xf7")),
            ("null left out", b"\xa2\x63map\xa0\x63set\x80".to_vec()),
            (
                "fields in another order",
                b"\xa3\x63set\x80\x63map\xa0\x65value\xf6".to_vec(),
            ),
        ] {
            assert!(!accepted(&other), "{what}");
        }
    }
}
