//! People: what is known of them beside their roles.

use concordat_protocol::text::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A training that a person has completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Its name.
    #[schema(value_type = String, max_length = 100)]
    pub name: Text<100>,
    /// Until when it counts: a date or a time.
    pub until: String,
}
