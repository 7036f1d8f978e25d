//! Purposes: a closed vocabulary from the Data Use Ontology (DUO).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part, short};

/// Most purposes a scope may list.
const MAX_PURPOSES: usize = 32;

/// What data may be used for. General research contains health research, which contains research on one disease
/// (DUO:0000042, DUO:0000006, DUO:0000007); the others contain no other purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Purpose {
    /// General research use (DUO:0000042).
    GeneralResearch,
    /// Health, medical or biomedical research (DUO:0000006).
    HealthResearch,
    /// Research on one disease (DUO:0000007), named by its MONDO code.
    Disease(DiseaseCode),
    /// Development of methods (DUO:0000031).
    MethodsDevelopment,
    /// Population origins or ancestry (DUO:0000011).
    Ancestry,
    /// Clinical care (DUO:0000043).
    ClinicalCare,
}

/// A disease in the Mondo Disease Ontology, for example `MONDO:0005267` (heart disorder).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiseaseCode(u32);

impl FromStr for DiseaseCode {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.strip_prefix("MONDO:")
            .filter(|digits| digits.len() == 7 && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                InvalidScope::new(
                    Part::Purposes,
                    format!(
                        "`{}` is not a disease code; write `MONDO:` and seven digits",
                        short(text)
                    ),
                )
            })
    }
}

impl fmt::Display for DiseaseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MONDO:{:07}", self.0)
    }
}

impl Purpose {
    /// Whether this purpose includes `inner`.
    pub fn covers(&self, inner: &Self) -> bool {
        self == inner
            || match self {
                Self::GeneralResearch => matches!(inner, Self::HealthResearch | Self::Disease(_)),
                Self::HealthResearch => matches!(inner, Self::Disease(_)),
                Self::Disease(_) | Self::MethodsDevelopment | Self::Ancestry | Self::ClinicalCare => false,
            }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneralResearch => f.pad("general-research"),
            Self::HealthResearch => f.pad("health-research"),
            Self::Disease(code) => write!(f, "disease:{code}"),
            Self::MethodsDevelopment => f.pad("methods-development"),
            Self::Ancestry => f.pad("ancestry"),
            Self::ClinicalCare => f.pad("clinical-care"),
        }
    }
}

impl FromStr for Purpose {
    type Err = InvalidScope;
    /// Reads the name or the DUO code.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text {
            "general-research" | "DUO:0000042" => Ok(Self::GeneralResearch),
            "health-research" | "DUO:0000006" => Ok(Self::HealthResearch),
            "methods-development" | "DUO:0000031" => Ok(Self::MethodsDevelopment),
            "ancestry" | "DUO:0000011" => Ok(Self::Ancestry),
            "clinical-care" | "DUO:0000043" => Ok(Self::ClinicalCare),
            _ => match text
                .strip_prefix("disease:")
                .or_else(|| text.strip_prefix("DUO:0000007:"))
            {
                Some(code) => code.parse().map(Self::Disease),
                None => Err(InvalidScope::new(
                    Part::Purposes,
                    format!(
                        "`{}` is not a known purpose; write general-research, health-research, disease:MONDO:nnnnnnn, methods-development, ancestry or clinical-care",
                        short(text)
                    ),
                )),
            },
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = InvalidScope;
    fn try_from(text: String) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.to_string()
    }
}

/// One or more purposes, without those that another one contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Purpose>", into = "BTreeSet<Purpose>")]
pub struct Purposes(BTreeSet<Purpose>);

impl Purposes {
    /// The widest of `purposes`.
    ///
    /// # Errors
    /// [`InvalidScope`] for none or more than 32.
    pub fn new(purposes: impl IntoIterator<Item = Purpose>) -> Result<Self, InvalidScope> {
        let all: BTreeSet<Purpose> = purposes.into_iter().collect();
        if all.is_empty() || all.len() > MAX_PURPOSES {
            return Err(InvalidScope::new(
                Part::Purposes,
                format!("between one and {MAX_PURPOSES} purposes are needed"),
            ));
        }
        let widest = all
            .iter()
            .filter(|p| !all.iter().any(|q| q != *p && q.covers(p)))
            .cloned()
            .collect();
        Ok(Self(widest))
    }

    /// The purposes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Purpose> {
        self.0.iter()
    }

    /// Whether a use for `purpose` is allowed.
    pub fn allow(&self, purpose: &Purpose) -> bool {
        self.0.iter().any(|p| p.covers(purpose))
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let inside = |a: &Self, b: &Self| a.0.iter().filter(|p| b.allow(p)).cloned().collect::<Vec<_>>();
        Self::new(inside(self, other).into_iter().chain(inside(other, self))).ok()
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        inner.0.iter().all(|purpose| self.allow(purpose))
    }
}

impl TryFrom<BTreeSet<Purpose>> for Purposes {
    type Error = InvalidScope;
    fn try_from(purposes: BTreeSet<Purpose>) -> Result<Self, InvalidScope> {
        Self::new(purposes)
    }
}

impl From<Purposes> for BTreeSet<Purpose> {
    fn from(purposes: Purposes) -> Self {
        purposes.0
    }
}

impl fmt::Display for Purposes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(Purpose::to_string).collect();
        f.write_str(&parts.join(", "))
    }
}
