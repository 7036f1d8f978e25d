//! For how many figures there is noise.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};

/// How many figures with noise an institution gets of a collection: 1 to 64. Each of them has noise for all of them, so more figures are less precise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FiguresWithNoise(u8);

impl FiguresWithNoise {
    /// How many where nothing else is set.
    pub const DEFAULT: Self = Self(32);

    /// So many.
    ///
    /// # Errors
    /// [`InvalidScope`] if the number is not 1 to 64.
    pub fn new(figures: u8) -> Result<Self, InvalidScope> {
        if (1..=64).contains(&figures) {
            Ok(Self(figures))
        } else {
            Err(InvalidScope::new(Part::Protection, "noise is for 1 to 64 answers"))
        }
    }

    /// Their number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for FiguresWithNoise {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for FiguresWithNoise {
    type Error = InvalidScope;
    fn try_from(figures: u8) -> Result<Self, InvalidScope> {
        Self::new(figures)
    }
}

impl From<FiguresWithNoise> for u8 {
    fn from(figures: FiguresWithNoise) -> Self {
        figures.0
    }
}

impl fmt::Display for FiguresWithNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
