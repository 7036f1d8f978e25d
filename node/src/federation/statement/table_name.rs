//! The name of a table as queries write it.

use std::fmt;

use concordat_engine::CATALOG;
use concordat_protocol::{
    ids::{CollectionName, DatasetName, DatasetRef, InstitutionId},
    schema::VersionNumber,
};
use datafusion::sql::sqlparser::ast::ObjectName;
use serde::{Deserialize, Serialize};

use crate::federation::error::FederationError;

/// The schema that stands for all members that share a dataset.
const CONSORTIUM: &str = "consortium";

/// Prefix of the tables that hold members' answers; no institution or dataset name can begin with it.
pub(in crate::federation) const ANSWER: &str = "__answer_";

/// A table as named in the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::federation) struct TableName {
    /// The institution; `None` for the dataset of all members that share it, alone or in collections of one name.
    pub(in crate::federation) institution: Option<InstitutionId>,
    /// The collection, if the name has three parts. In two parts it is that of the dataset alone, which has its name.
    pub(in crate::federation) collection: Option<CollectionName>,
    /// The dataset.
    pub(in crate::federation) dataset: DatasetName,
    /// Its version; `None` for the current one.
    pub(in crate::federation) version: Option<VersionNumber>,
}

impl TableName {
    /// The parts before the dataset: the institution or what stands for all members, and the collection of a name with three parts.
    pub(in crate::federation) fn owner(&self) -> Vec<&str> {
        let first = self.institution.as_ref().map_or(CONSORTIUM, InstitutionId::as_str);
        let collection = self.collection.as_ref().map(CollectionName::as_str);
        std::iter::once(first).chain(collection).collect()
    }

    /// Catalog and schema in the local engine.
    pub(in crate::federation) fn location(&self) -> (&str, &str) {
        let first = self.institution.as_ref().map_or(CONSORTIUM, InstitutionId::as_str);
        match &self.collection {
            Some(collection) => (first, collection.as_str()),
            None => (CATALOG, first),
        }
    }

    /// The name of the collection, as that of a dataset.
    pub(in crate::federation) fn collection_name(&self) -> DatasetName {
        match &self.collection {
            Some(collection) => DatasetName::from(collection),
            None => self.dataset.clone(),
        }
    }

    /// The dataset at `institution`.
    pub(in crate::federation) fn at(&self, institution: InstitutionId) -> DatasetRef {
        match self.collection.clone() {
            Some(collection) => DatasetRef {
                institution,
                collection,
                dataset: self.dataset.clone(),
            },
            None => DatasetRef::alone(institution, self.dataset.clone()),
        }
    }

    /// The last part of the name in the local engine, where each version is a table of its own.
    pub(in crate::federation) fn local_name(&self) -> String {
        match self.version {
            None => self.dataset.to_string(),
            Some(version) => format!("{}@{version}", self.dataset),
        }
    }

    /// Whether a text can name it: datasets of all members have no version.
    pub(super) const fn is_valid(&self) -> bool {
        self.institution.is_some() || self.version.is_none()
    }

    pub(super) fn read(name: &ObjectName, version: Option<VersionNumber>) -> Result<Self, FederationError> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (owner, collection, dataset) = match parts.as_deref() {
            Some([owner, dataset]) => (*owner, None, *dataset),
            Some([owner, collection, dataset]) => (*owner, Some(*collection), *dataset),
            Some([dataset]) => return Err(missing_institution(dataset)),
            Some(_) | None => {
                return Err(FederationError::usage(format!(
                    "`{name}` is not a table; write `institution.dataset`, or `institution.collection.dataset`"
                )));
            }
        };
        let invalid = |error: concordat_protocol::ids::InvalidName| FederationError::usage(error.to_string());
        let institution = if owner == CONSORTIUM {
            if version.is_some() {
                return Err(FederationError::usage_with(
                    format!("`{name}` has no versions: each institution counts its own"),
                    format!("write `INSTITUTION.{dataset} VERSION AS OF NUMBER`"),
                ));
            }
            None
        } else {
            Some(owner.parse().map_err(invalid)?)
        };
        Ok(Self {
            institution,
            collection: collection.map(str::parse).transpose().map_err(invalid)?,
            dataset: dataset.parse().map_err(invalid)?,
            version,
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.owner().join("."), self.dataset)?;
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
