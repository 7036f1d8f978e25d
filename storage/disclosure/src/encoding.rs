//! Bytes of what is stored, read with bounds: no length is believed before the bytes are there.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Bytes that are read from the front.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes were read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (read, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*read)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// What [`put_part`] wrote.
    pub(crate) fn part(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count(1)?;
        let (read, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(read)
    }

    /// The number of elements of a list, each of which has at least `bytes` bytes: not more than fit into what is left.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if count > self.0.len() / bytes.max(1) {
            return Err(Malformed);
        }
        Ok(count)
    }
}

/// Writes bytes after their length.
pub(crate) fn put_part(to: &mut Vec<u8>, part: &[u8]) {
    put_count(to, part.len());
    to.extend_from_slice(part);
}

/// Writes the number of elements of a list. None has 2^32 or more; such a number could not be read again.
pub(crate) fn put_count(to: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    to.extend_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Input, Malformed, put_count, put_part};

    #[test]
    fn stored_part_longer_than_its_bytes_is_malformed() {
        let mut bytes = Vec::new();
        put_part(&mut bytes, b"abc");
        bytes.push(7);
        let mut input = Input::new(&bytes);
        assert_eq!(input.part(), Ok(&b"abc"[..]));
        assert_eq!(input.byte(), Ok(7));
        assert!(input.is_empty());
        assert_eq!(input.byte(), Err(Malformed));
        for cut in 0..6 {
            assert_eq!(Input::new(&bytes[..cut]).part(), Err(Malformed), "{cut}");
        }
    }

    #[test]
    fn stored_list_longer_than_its_bytes_is_malformed() {
        let mut bytes = Vec::new();
        put_count(&mut bytes, 3);
        bytes.extend([0; 24]);
        assert_eq!(Input::new(&bytes).count(8), Ok(3));
        assert_eq!(Input::new(&bytes).count(9), Err(Malformed));
    }
}
