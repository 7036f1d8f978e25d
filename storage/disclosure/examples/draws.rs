//! Draws and figures of the loss of privacy, for `.ci/opendp-check`, which compares them with other implementations.
//!
//! ```text
//! draws gaussian NUMERATOR DENOMINATOR COUNT SEED    draws of the discrete Gaussian, each outcome and how often
//! draws epsilon MICRO_RHO DELTA_EXPONENT             epsilon, in millionths
//! draws half-width NUMERATOR DENOMINATOR             half of the width of the interval
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;

use concordat_disclosure::{Entropy, Epsilon, Gaussian, half_width};
use concordat_protocol::scope::DeltaExponent;

/// The same draws for the same seed: never for noise of an answer.
struct Seeded(blake3::OutputReader);

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout().lock();
    match arguments.as_slice() {
        ["gaussian", numerator, denominator, count, seed] => {
            let gaussian = Gaussian::new(numerator.parse()?, denominator.parse()?)?;
            for (outcome, number) in frequencies(&gaussian, count.parse()?, seed) {
                writeln!(out, "{outcome} {number}")?;
            }
        }
        ["epsilon", micro_rho, exponent] => {
            let epsilon = Epsilon::of(micro_rho.parse()?, DeltaExponent::new(exponent.parse()?)?);
            writeln!(out, "{}", epsilon.as_millionths())?;
        }
        ["half-width", numerator, denominator] => {
            writeln!(
                out,
                "{}",
                half_width(&Gaussian::new(numerator.parse()?, denominator.parse()?)?)
            )?;
        }
        _ => return Err("see the first lines of storage/disclosure/examples/draws.rs".into()),
    }
    Ok(())
}

fn frequencies(gaussian: &Gaussian, count: u64, seed: &str) -> BTreeMap<i64, u64> {
    let mut entropy = Seeded(blake3::Hasher::new().update(seed.as_bytes()).finalize_xof());
    let mut frequencies = BTreeMap::new();
    for _ in 0..count {
        *frequencies.entry(gaussian.sample(&mut entropy)).or_default() += 1;
    }
    frequencies
}
