//! Where randomness comes from.

/// A source of uniformly distributed bytes that an attacker cannot predict.
///
/// The caller passes one in, so that this crate has no hidden input; tests pass a seeded one.
pub trait Entropy {
    /// Fills all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}
