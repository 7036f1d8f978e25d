//! The name of a table as queries write it.

use std::fmt;

use concordat_protocol::{
    ids::{DatasetName, InstitutionId},
    schema::VersionNumber,
};
use datafusion::sql::sqlparser::ast::ObjectName;

use crate::federation::error::FederationError;

/// The schema that stands for all members that share a dataset.
const CONSORTIUM: &str = "consortium";

/// Prefix of the tables that hold members' answers; no institution or dataset name can begin with it.
pub(in crate::federation) const ANSWER: &str = "__answer_";

/// A table as named in the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::federation) struct TableName {
    /// The institution; `None` for the dataset of all members that share it.
    pub(in crate::federation) institution: Option<InstitutionId>,
    /// The dataset.
    pub(in crate::federation) dataset: DatasetName,
    /// Its version; `None` for the current one.
    pub(in crate::federation) version: Option<VersionNumber>,
}

impl TableName {
    /// The first part of the name.
    pub(in crate::federation) fn schema(&self) -> &str {
        self.institution.as_ref().map_or(CONSORTIUM, InstitutionId::as_str)
    }

    /// The second part of the name in the local engine, where each version is a table of its own.
    pub(in crate::federation) fn local_name(&self) -> String {
        match self.version {
            None => self.dataset.to_string(),
            Some(version) => format!("{}@{version}", self.dataset),
        }
    }

    pub(super) fn read(name: &ObjectName, version: Option<VersionNumber>) -> Result<Self, FederationError> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (schema, dataset) = match parts.as_deref() {
            Some([schema, dataset]) => (*schema, *dataset),
            Some([dataset]) => return Err(missing_institution(dataset)),
            Some(_) | None => {
                return Err(FederationError::usage(format!(
                    "`{name}` is not a table; write `institution.dataset`"
                )));
            }
        };
        let invalid = |error: concordat_protocol::ids::InvalidName| FederationError::usage(error.to_string());
        let institution = if schema == CONSORTIUM {
            if version.is_some() {
                return Err(FederationError::usage_with(
                    format!("`{name}` has no versions: each institution counts its own"),
                    format!("write `INSTITUTION.{dataset} VERSION AS OF NUMBER`"),
                ));
            }
            None
        } else {
            Some(schema.parse().map_err(invalid)?)
        };
        Ok(Self {
            institution,
            dataset: dataset.parse().map_err(invalid)?,
            version,
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema(), self.dataset)?;
        self.version
            .map_or(Ok(()), |version| write!(f, " VERSION AS OF {version}"))
    }
}

fn missing_institution(dataset: &str) -> FederationError {
    FederationError::usage_with(
        format!("`{dataset}` does not name an institution"),
        format!("write `INSTITUTION.{dataset}`, or `consortium.{dataset}` for all members that share it"),
    )
}
