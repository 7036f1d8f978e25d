//! Randomness of decisions.

use concordat_disclosure::Entropy;

use super::error::MemoryError;

/// Bytes that follow from 32 bytes of the operating system: the extended output of BLAKE3, which no one can predict without these. The system is
/// called once, when a failure can still be reported, because what is drawn later cannot fail.
#[derive(Debug)]
pub(in crate::sharing) struct OsEntropy(blake3::OutputReader);

impl OsEntropy {
    /// A source of its own.
    ///
    /// # Errors
    /// [`MemoryError::Random`] if the system has no random bytes.
    pub(in crate::sharing) fn new() -> Result<Self, MemoryError> {
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(MemoryError::Random)?;
        Ok(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_of_two_sources_differs() {
        let mut first = OsEntropy::new().unwrap();
        let mut second = OsEntropy::new().unwrap();
        let mut drawn = [[0; 16]; 4];
        for (at, bytes) in drawn.iter_mut().enumerate() {
            if at < 2 {
                first.fill(bytes);
            } else {
                second.fill(bytes);
            }
        }
        let mut different = drawn.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 4);
    }
}
