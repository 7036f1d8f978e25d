//! What a steward writes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scope::{DEFAULT_MIN_CELL, FiguresWithNoise, Loss, ProtectionName};

/// Queries below `records` of a person, and of an institution, in 24 hours: a study needs some dozens of statistics a day, and an attack that
/// combines them many more. The value is part of digests, as one that is not written there: it does not change.
const QUERIES_BELOW_RECORDS: u32 = 100;
/// The same of all institutions together: ten that are at their limit. It does not change either.
const ALL_QUERIES_BELOW_RECORDS: u32 = 1000;

/// How figures below `records` are protected. The value is part of digests, as those above.
const PROTECTION: ProtectionName = ProtectionName::Perturbed;
/// Most cells of an answer below `records`: each of them is decided, and counts as released for later answers. The same of digests.
const MAX_CELLS: u32 = 500;
/// Sets of subjects, none of which follows from others, that may be released to one institution. The same of digests.
const DISTINCTIONS: u32 = 512;
/// Figures with noise. The same of digests.
const FIGURES_WITH_NOISE: FiguresWithNoise = FiguresWithNoise::DEFAULT;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Its name, as shown in errors.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The settings of a policy set: the limits where a steward has set no others for the dataset. Those that are omitted have their defaults.
///
/// The digest of a set covers their debug form.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicySettings))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Longest duration of a grant, in days.
    pub max_days: u16,
    /// Fewest subjects behind a released cell.
    pub min_cell: u32,
    /// Most rows in one answer.
    pub max_rows: u64,
    /// Most queries of one grant in 24 hours.
    pub max_queries_per_day: u32,
    /// Most queries of one person below `records` to one collection in 24 hours.
    pub person_queries_below_records: u32,
    /// Most queries of one institution below `records` to one collection in 24 hours.
    pub institution_queries_below_records: u32,
    /// Most queries of all institutions together below `records` to one collection in 24 hours.
    pub all_queries_below_records: u32,
    /// How figures below `records` are protected; a grant with a protection that reveals less has that one.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub protection: ProtectionName,
    /// Most cells of an answer below `records`, at most 500.
    pub max_cells: u32,
    /// Most sets of subjects, none of which follows from others, that all answers below `records` distinguish for one institution and
    /// collection, at most 512.
    pub distinctions: u32,
    /// Most figures that are protected as `perturbed`, for one institution and collection: 1 to 64. Each has noise for all of them, so more figures are
    /// less precise.
    #[cfg_attr(feature = "openapi", schema(value_type = u8))]
    pub figures_with_noise: FiguresWithNoise,
    /// How much privacy answers may lose whose figures are protected as `private`, for one institution and collection.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub loss: Loss,
    /// Whether a policy set is activated only after a second person has approved it.
    pub two_people: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_days: 365,
            min_cell: DEFAULT_MIN_CELL,
            max_rows: 1_000_000,
            max_queries_per_day: 1000,
            person_queries_below_records: QUERIES_BELOW_RECORDS,
            institution_queries_below_records: QUERIES_BELOW_RECORDS,
            all_queries_below_records: ALL_QUERIES_BELOW_RECORDS,
            protection: PROTECTION,
            max_cells: MAX_CELLS,
            distinctions: DISTINCTIONS,
            figures_with_noise: FIGURES_WITH_NOISE,
            loss: Loss::DEFAULT,
            two_people: false,
        }
    }
}

impl fmt::Debug for Settings {
    /// The limits of queries below `records`, and how their figures are protected, are in it if one of them is not the default, so that sets from
    /// before there were these settings keep their digests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            max_days,
            min_cell,
            max_rows,
            max_queries_per_day,
            person_queries_below_records,
            institution_queries_below_records,
            all_queries_below_records,
            protection,
            max_cells,
            distinctions,
            figures_with_noise,
            loss,
            two_people,
        } = self;
        let below_records = [
            *person_queries_below_records,
            *institution_queries_below_records,
            *all_queries_below_records,
        ];
        let mut shown = f.debug_struct("Settings");
        shown
            .field("max_days", max_days)
            .field("min_cell", min_cell)
            .field("max_rows", max_rows)
            .field("max_queries_per_day", max_queries_per_day);
        if below_records != [QUERIES_BELOW_RECORDS, QUERIES_BELOW_RECORDS, ALL_QUERIES_BELOW_RECORDS] {
            shown.field("queries_below_records", &below_records);
        }
        let figures = (*protection, *max_cells, *distinctions, *loss);
        if figures != (PROTECTION, MAX_CELLS, DISTINCTIONS, Loss::DEFAULT) {
            shown.field("figures_below_records", &figures);
        }
        // By itself: sets with other figures from before there was this setting keep their digests too.
        if *figures_with_noise != FIGURES_WITH_NOISE {
            shown.field("figures_with_noise", &figures_with_noise.get());
        }
        shown.field("two_people", two_people).finish()
    }
}

/// The files of a policy set and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicySources {
    /// The files, in the order in which their rules are shown.
    pub files: Vec<PolicyFile>,
    /// The settings.
    #[serde(default)]
    pub settings: Settings,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn policy_settings_that_are_omitted_have_their_defaults() {
        let read = |text: &str| serde_json::from_str::<Settings>(text);
        assert_eq!(read("{}").unwrap(), Settings::default());
        let expected = Settings {
            min_cell: 20,
            two_people: true,
            ..Settings::default()
        };
        assert_eq!(read(r#"{"min_cell":20,"two_people":true}"#).unwrap(), expected);
        assert_eq!(read(&serde_json::to_string(&expected).unwrap()).unwrap(), expected);
        assert!(read(r#"{"min_cells":20}"#).is_err());
        let private = Settings {
            protection: ProtectionName::Private,
            ..Settings::default()
        };
        assert_eq!(read(r#"{"protection":"private"}"#).unwrap(), private);
        // One query would lose more than all.
        assert!(read(r#"{"loss":{"query":3,"total":2,"delta":6}}"#).is_err());
        assert!(read(r#"{"protection":"none"}"#).is_err());
        let few = Settings {
            figures_with_noise: FiguresWithNoise::new(8).unwrap(),
            ..Settings::default()
        };
        assert_eq!(read(r#"{"figures_with_noise":8}"#).unwrap(), few);
        for unbounded in ["0", "65", "-1", "256", "null"] {
            let text = format!(r#"{{"figures_with_noise":{unbounded}}}"#);
            assert!(read(&text).is_err(), "{text}");
        }
    }

    /// Sets are sealed in one form and digested in the other.
    #[test]
    fn policy_sources_keep_their_sealed_and_digested_forms() {
        let sources = PolicySources {
            files: vec![PolicyFile {
                name: "a.cedar".to_owned(),
                text: "permit".to_owned(),
            }],
            settings: Settings::default(),
        };
        let sealed = json!({
            "files": [{ "name": "a.cedar", "text": "permit" }],
            "settings": {
                "max_days": 365,
                "min_cell": DEFAULT_MIN_CELL,
                "max_rows": 1_000_000,
                "max_queries_per_day": 1000,
                "person_queries_below_records": 100,
                "institution_queries_below_records": 100,
                "all_queries_below_records": 1000,
                "protection": "perturbed",
                "max_cells": 500,
                "distinctions": 512,
                "figures_with_noise": 32,
                "loss": { "query": 10_000, "total": 1_000_000, "delta": 6 },
                "two_people": false,
            },
        });
        assert_eq!(serde_json::to_value(&sources).unwrap(), sealed);
        assert_eq!(serde_json::from_value::<PolicySources>(sealed).unwrap(), sources);
        assert_eq!(
            format!("{:?}", sources.settings),
            format!(
                "Settings {{ max_days: 365, min_cell: {DEFAULT_MIN_CELL}, max_rows: 1000000, max_queries_per_day: 1000, two_people: false }}"
            )
        );
        // As sets were sealed before there were limits of queries below `records`.
        let older = json!({ "files": [], "settings": { "max_days": 365, "two_people": false } });
        let older: PolicySources = serde_json::from_value(older).unwrap();
        assert_eq!(older.settings, Settings::default());
        for limited in [
            Settings {
                person_queries_below_records: 99,
                ..Settings::default()
            },
            Settings {
                institution_queries_below_records: 99,
                ..Settings::default()
            },
            Settings {
                all_queries_below_records: 999,
                ..Settings::default()
            },
            Settings {
                protection: ProtectionName::Exact,
                ..Settings::default()
            },
            Settings {
                max_cells: 499,
                ..Settings::default()
            },
            Settings {
                distinctions: 511,
                ..Settings::default()
            },
            Settings {
                figures_with_noise: FiguresWithNoise::new(31).unwrap(),
                ..Settings::default()
            },
            Settings {
                loss: Loss::new(Loss::DEFAULT.query(), Loss::DEFAULT.query(), Loss::DEFAULT.delta()).unwrap(),
                ..Settings::default()
            },
        ] {
            assert_ne!(format!("{limited:?}"), format!("{:?}", Settings::default()));
        }
        // As sets with other figures were digested before there was a number of figures with noise.
        let exact = Settings {
            protection: ProtectionName::Exact,
            ..Settings::default()
        };
        let figures = (exact.protection, exact.max_cells, exact.distinctions, exact.loss);
        let digested = format!("{exact:?}");
        let expected = format!("figures_below_records: {figures:?}, two_people: false }}");
        assert!(digested.ends_with(&expected), "{digested}");
    }
}
