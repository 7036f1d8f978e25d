//! What a steward writes.

use serde::{Deserialize, Serialize};

use crate::scope::DEFAULT_MIN_CELL;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            two_people: false,
        }
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
    }
}
