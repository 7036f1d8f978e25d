//! The statements of a probe.

use crate::canary::{CanaryFacts, DifferencingPair};

/// One of the statements of a probe, in the order in which they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeStatement {
    /// How many people each site has: four small cells, an empty one and three large ones, of which one is the larger set of the pair.
    Sites,
    /// The same text again.
    SitesAgain,
    /// How many people there are of each sex.
    Sexes,
    /// How many people have the marker.
    Markers,
    /// How many people have visits with each code: one of the cells is small.
    Codes,
    /// How many visits have each code: the small cell has many rows.
    CodeRows,
    /// What a visit costs on average, by code.
    CodeCosts,
    /// How many women have the marker.
    MarkersOfWomen,
    /// How many people of the pair's site there are of each sex.
    SexesOfSite,
    /// The smaller set of the pair.
    YoungerOfSite,
    /// The one subject of its difference.
    OldestOfSite,
    /// How many people there are.
    All,
}

impl ProbeStatement {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Sites,
        Self::SitesAgain,
        Self::Sexes,
        Self::Markers,
        Self::Codes,
        Self::CodeRows,
        Self::CodeCosts,
        Self::MarkersOfWomen,
        Self::SexesOfSite,
        Self::YoungerOfSite,
        Self::OldestOfSite,
        Self::All,
    ];

    /// The text of the statement about a canary with these facts. The last column is the figure; one before it, the label of the group.
    #[must_use]
    pub fn sql(self, facts: &CanaryFacts) -> String {
        let DifferencingPair { site, up_to_age, .. } = facts.pair;
        let older = u16::from(up_to_age).saturating_add(1);
        match self {
            Self::Sites | Self::SitesAgain => "SELECT site AS cell, count(*) AS n FROM people GROUP BY site".to_owned(),
            Self::Sexes => "SELECT sex AS cell, count(*) AS n FROM people GROUP BY sex".to_owned(),
            Self::Markers => "SELECT marker AS cell, count(*) AS n FROM people GROUP BY marker".to_owned(),
            Self::Codes => "SELECT code AS cell, count(DISTINCT subject) AS n FROM visits GROUP BY code".to_owned(),
            Self::CodeRows => "SELECT code AS cell, count(*) AS n FROM visits GROUP BY code".to_owned(),
            Self::CodeCosts => "SELECT code AS cell, avg(cost) AS n FROM visits GROUP BY code".to_owned(),
            Self::MarkersOfWomen => {
                "SELECT marker AS cell, count(*) AS n FROM people WHERE sex = 'f' GROUP BY marker".to_owned()
            }
            Self::SexesOfSite => {
                format!("SELECT sex AS cell, count(*) AS n FROM people WHERE site = '{site}' GROUP BY sex")
            }
            Self::YoungerOfSite => {
                format!("SELECT count(*) AS n FROM people WHERE site = '{site}' AND age < {older}")
            }
            Self::OldestOfSite => {
                format!("SELECT count(*) AS n FROM people WHERE site = '{site}' AND age >= {older}")
            }
            Self::All => "SELECT count(*) AS n FROM people".to_owned(),
        }
    }

    /// Whether each subject is in at most one of its cells, and has one row there.
    pub(super) const fn counts_people(self) -> bool {
        match self {
            Self::Codes | Self::CodeRows | Self::CodeCosts => false,
            Self::Sites
            | Self::SitesAgain
            | Self::Sexes
            | Self::Markers
            | Self::MarkersOfWomen
            | Self::SexesOfSite
            | Self::YoungerOfSite
            | Self::OldestOfSite
            | Self::All => true,
        }
    }
}
