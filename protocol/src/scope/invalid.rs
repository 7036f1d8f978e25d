//! The parts of a scope, and why one is invalid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The parts of a scope, to state where two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The collection.
    Collection,
    /// The tier.
    Tier,
    /// How figures are protected.
    Protection,
    /// Which subjects.
    Subjects,
    /// Which datasets.
    Datasets,
    /// Columns and transforms.
    Columns,
    /// The row filter.
    Rows,
    /// The purposes.
    Purposes,
    /// The people.
    People,
    /// The places.
    Places,
    /// The limits.
    Limits,
    /// The time window.
    Window,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Collection => "collection",
            Self::Tier => "tier",
            Self::Protection => "protection",
            Self::Subjects => "subjects",
            Self::Datasets => "datasets",
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::Purposes => "purposes",
            Self::People => "people",
            Self::Places => "places",
            Self::Limits => "limits",
            Self::Window => "window",
        })
    }
}

/// A scope with an unknown, contradictory or too large part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {part}: {detail}")]
pub struct InvalidScope {
    /// The part that is invalid.
    pub part: Part,
    detail: String,
}

impl InvalidScope {
    pub(crate) fn new(part: Part, detail: impl Into<String>) -> Self {
        Self {
            part,
            detail: detail.into(),
        }
    }
}

/// Input, shortened for use in a message.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
