//! People, places, limits and time.

use std::collections::BTreeSet;
use std::fmt;

use chrono::Datelike as _;
use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};
use crate::ids::{ActorId, Jurisdiction};
use crate::time::Timestamp;

/// Fewest subjects behind a released cell if nothing else is set.
pub const DEFAULT_MIN_CELL: u32 = 10;
/// From this age on people are one category (45 CFR 164.514(b)(2)(i)(C)).
const TOP_AGE: i32 = 90;
/// Most people or places a scope may list.
const MAX_LISTED: usize = 1000;
/// Longest time window of a scope: five years.
const MAX_WINDOW_MS: i64 = 5 * 366 * 86_400_000;

macro_rules! listed {
    ($(#[$doc:meta])* $name:ident, $item:ty, $part:expr, $any_doc:literal, $anything:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            #[doc = $any_doc]
            Any,
            /// Only these.
            #[serde(deserialize_with = "bounded")]
            Only(BTreeSet<$item>),
        }

        impl $name {
            /// Only the ones listed.
            ///
            /// # Errors
            /// [`InvalidScope`] for none or more than 1000.
            pub fn only(items: impl IntoIterator<Item = $item>) -> Result<Self, InvalidScope> {
                let items: BTreeSet<_> = items.into_iter().collect();
                if items.is_empty() || items.len() > MAX_LISTED {
                    return Err(InvalidScope::new($part, format!("a list needs between one and {MAX_LISTED} entries")));
                }
                Ok(Self::Only(items))
            }

            /// Whether `item` is allowed.
            pub fn allow(&self, item: &$item) -> bool {
                match self {
                    Self::Any => true,
                    Self::Only(items) => items.contains(item),
                }
            }

            pub(super) fn meet(&self, other: &Self) -> Option<Self> {
                match (self, other) {
                    (Self::Any, x) | (x, Self::Any) => Some(x.clone()),
                    (Self::Only(a), Self::Only(b)) => Self::only(a.intersection(b).cloned()).ok(),
                }
            }

            pub(super) fn covers(&self, inner: &Self) -> bool {
                match (self, inner) {
                    (Self::Any, _) => true,
                    (Self::Only(_), Self::Any) => false,
                    (Self::Only(a), Self::Only(b)) => b.is_subset(a),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Any => f.write_str($anything),
                    Self::Only(items) => f.write_str(&items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
                }
            }
        }
    };
}

listed!(
    /// Who at the consumer may use the grant.
    People,
    ActorId,
    Part::People,
    "Everyone there whose role allows it.",
    "anyone there with the role"
);
listed!(
    /// The jurisdictions in which an answer may be received.
    Places,
    Jurisdiction,
    Part::Places,
    "Any place.",
    "any place"
);

fn bounded<'de, D, T>(deserializer: D) -> Result<BTreeSet<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Ord,
{
    let items = BTreeSet::deserialize(deserializer)?;
    if items.is_empty() || items.len() > MAX_LISTED {
        return Err(serde::de::Error::custom(format!(
            "a list needs between one and {MAX_LISTED} entries"
        )));
    }
    Ok(items)
}

/// How much, and in how much detail. `None` sets no limit; a smaller number is narrower, for `min_cell` a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most rows in one answer.
    pub max_rows: Option<u64>,
    /// Most queries in 24 hours.
    pub max_queries_per_day: Option<u32>,
    /// Most queries of each person in 24 hours.
    pub per_person_per_day: Option<u32>,
    /// Most cells in one answer at the tiers below records.
    pub max_cells: Option<u32>,
    /// How many sets of subjects, none of which follows from others, may be distinguished by all answers at the tiers below records.
    pub distinctions: Option<u32>,
    /// Fewest subjects behind a released cell at the tiers below records.
    pub min_cell: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_cell: DEFAULT_MIN_CELL,
            ..Self::WIDEST
        }
    }
}

impl Limits {
    /// The fewest limits that can be requested; the provider sets the actual ones.
    pub const WIDEST: Self = Self {
        max_rows: None,
        max_queries_per_day: None,
        per_person_per_day: None,
        max_cells: None,
        distinctions: None,
        min_cell: 1,
    };

    pub(super) fn meet(&self, other: &Self) -> Self {
        Self {
            max_rows: least(self.max_rows, other.max_rows),
            max_queries_per_day: least(self.max_queries_per_day, other.max_queries_per_day),
            per_person_per_day: least(self.per_person_per_day, other.per_person_per_day),
            max_cells: least(self.max_cells, other.max_cells),
            distinctions: least(self.distinctions, other.distinctions),
            min_cell: self.min_cell.max(other.min_cell),
        }
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        self.meet(inner) == *inner
    }
}

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rows) = self.max_rows {
            write!(f, "{rows} rows an answer, ")?;
        }
        if let Some(queries) = self.max_queries_per_day {
            write!(f, "{queries} queries a day, ")?;
        }
        if let Some(queries) = self.per_person_per_day {
            write!(f, "{queries} queries a day by each person, ")?;
        }
        if let Some(cells) = self.max_cells {
            write!(f, "{cells} cells an answer, ")?;
        }
        if let Some(distinctions) = self.distinctions {
            write!(f, "{distinctions} distinctions, ")?;
        }
        write!(f, "cells of {} subjects or more", self.min_cell)
    }
}

/// From when (included) until when (not included).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWindow", into = "RawWindow")]
pub struct Window {
    not_before: Timestamp,
    not_after: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Window {
    /// The time from `not_before` until `not_after`.
    ///
    /// # Errors
    /// [`InvalidScope`] if it is empty or longer than five years.
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, InvalidScope> {
        let length = not_after.since(not_before);
        if length <= 0 {
            return Err(InvalidScope::new(
                Part::Window,
                format!("it ends at {not_after}, not after it begins at {not_before}"),
            ));
        }
        if length > MAX_WINDOW_MS {
            return Err(InvalidScope::new(
                Part::Window,
                "it is longer than five years; every grant has an end",
            ));
        }
        Ok(Self { not_before, not_after })
    }

    /// When it begins.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When it is over.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The newest year from which an age of 90 or more can follow before the window ends. A date that is shown as its year shows
    /// this and all earlier years as this one, so that the oldest people are one category (45 CFR 164.514(b)(2)(i)(C)) and
    /// stay so as long as the permission lasts.
    pub fn oldest_year(&self) -> i32 {
        // The end is not in the window: one at the beginning of a year leaves nothing of that year.
        let end = chrono::DateTime::from_timestamp_millis(self.not_after.plus_millis(-1).as_millis());
        // A time outside the range of the calendar shows no year at all.
        end.map_or(i32::MAX, |end| end.year().saturating_sub(TOP_AGE))
    }

    /// Whether `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// The time that lies in both; `None` if there is none.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        Self::new(
            self.not_before.max(other.not_before),
            self.not_after.min(other.not_after),
        )
        .ok()
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        self.not_before <= inner.not_before && inner.not_after <= self.not_after
    }
}

impl TryFrom<RawWindow> for Window {
    type Error = InvalidScope;
    fn try_from(raw: RawWindow) -> Result<Self, InvalidScope> {
        Self::new(raw.not_before, raw.not_after)
    }
}

impl From<Window> for RawWindow {
    fn from(window: Window) -> Self {
        Self {
            not_before: window.not_before,
            not_after: window.not_after,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.not_before.exact(), self.not_after.exact())
    }
}
