//! Numbers that look random and are the same each time: a function of the seed, the column and the row.

/// The numbers of one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    /// Those of a column of a dataset.
    pub(super) fn new(seed: u64, dataset: &str, column: &str) -> Self {
        let named = [dataset, "\0", column].concat();
        Self(
            named
                .bytes()
                .fold(mixed(seed), |state, byte| mixed(state ^ u64::from(byte))),
        )
    }

    /// The number of a row, below `bound`. The bias is immaterial for bounds far below 2^64.
    pub(super) fn below(self, row: u64, bound: u64) -> u64 {
        self.at(row).checked_rem(bound).unwrap_or(0)
    }

    /// Whether the value of a row is missing: of about one in twenty.
    pub(super) fn is_missing(self, row: u64) -> bool {
        mixed(self.at(row)).checked_rem(20) == Some(0)
    }

    fn at(self, row: u64) -> u64 {
        mixed(self.0.wrapping_add(row.wrapping_mul(GOLDEN)))
    }
}

/// The increment of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of SplitMix64, with the constants of Vigna's public-domain `splitmix64.c`.
const fn mixed(state: u64) -> u64 {
    let z = state.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        // The first two outputs of SplitMix64 with the seed 1234567.
        assert_eq!(mixed(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(mixed(1_234_567_u64.wrapping_add(GOLDEN)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_depend_on_seed_column_and_row_alone() {
        let draws = Draws::new(1, "person", "age");
        let numbers = |draws: Draws| -> Vec<u64> { (0..50).map(|row| draws.below(row, 1000)).collect() };
        assert_eq!(numbers(draws), numbers(Draws::new(1, "person", "age")));
        for other in [
            Draws::new(2, "person", "age"),
            Draws::new(1, "persona", "ge"),
            Draws::new(1, "person", "sex"),
        ] {
            assert_ne!(numbers(draws), numbers(other));
        }
        assert!(numbers(draws).iter().all(|number| *number < 1000));
        assert_eq!(draws.below(3, 0), 0);
        let missing = (0..2000).filter(|row| draws.is_missing(*row)).count();
        assert!((40..200).contains(&missing), "{missing} of 2000");
    }
}
