//! Records in a file, one after the other: the length in four bytes, big endian, then the bytes.

use std::io::{self, Read};

/// Bytes of the length.
pub(crate) const PREFIX: usize = 4;

/// Memory that is reserved for a record before it was read: the length may be wrong.
const RESERVED: u64 = 64 * 1024;

/// Why a record cannot be read.
#[derive(Debug)]
pub(crate) enum BadFrame {
    /// The file ends in the middle of it.
    Cut,
    /// It is longer than any record.
    Length,
    /// The disk failed.
    Io(io::Error),
}

/// A record of at most `most` bytes, with its length before it; `None` if it is longer.
pub(crate) fn framed(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= most)?;
    Some([&length.to_be_bytes(), bytes].concat())
}

/// The next record, of at most `most` bytes; `None` at the end.
pub(crate) fn next_frame(source: &mut impl Read, most: usize) -> Result<Option<Vec<u8>>, BadFrame> {
    let prefix = up_to(source, PREFIX as u64)?;
    if prefix.is_empty() {
        return Ok(None);
    }
    let length = u32::from_be_bytes(prefix.try_into().map_err(|_| BadFrame::Cut)?);
    if usize::try_from(length).is_ok_and(|length| length > most) {
        return Err(BadFrame::Length);
    }
    let bytes = up_to(source, u64::from(length))?;
    if bytes.len() as u64 == u64::from(length) {
        Ok(Some(bytes))
    } else {
        Err(BadFrame::Cut)
    }
}

/// Reads so many bytes, or fewer if the source ends.
fn up_to(source: &mut impl Read, length: u64) -> Result<Vec<u8>, BadFrame> {
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(RESERVED)).unwrap_or_default());
    source.take(length).read_to_end(&mut bytes).map_err(BadFrame::Io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let records: [&[u8]; 3] = [b"", b"one", &[7; 100]];
        let file = records.map(|record| framed(record, 100).unwrap()).concat();
        let mut source = file.as_slice();
        for record in records {
            assert_eq!(next_frame(&mut source, 100).unwrap().unwrap(), record);
        }
        assert!(next_frame(&mut source, 100).unwrap().is_none());
        assert!(framed(&[7; 101], 100).is_none());
    }

    #[test]
    fn frame_that_is_cut_or_too_long_is_refused() {
        let file = framed(b"record", 6).unwrap();
        for end in 1..file.len() {
            assert!(matches!(next_frame(&mut &file[..end], 6), Err(BadFrame::Cut)), "{end}");
        }
        assert!(matches!(next_frame(&mut file.as_slice(), 5), Err(BadFrame::Length)));
        // Nothing is reserved for a length that the file does not have.
        let wrong = [0xFF; 8];
        assert!(matches!(
            next_frame(&mut wrong.as_slice(), usize::MAX),
            Err(BadFrame::Cut)
        ));
    }
}
