//! Collections and datasets with the institution that holds them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::names::{CollectionName, DatasetName, InstitutionId, InvalidName};

/// A collection and the institution that holds it, written `budapest.omop` or `budapest/omop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionRef {
    /// Who holds it.
    pub institution: InstitutionId,
    /// Its name there.
    pub collection: CollectionName,
}

impl fmt::Display for CollectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.institution, self.collection)
    }
}

impl FromStr for CollectionRef {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (institution, collection) = text.split_once(['.', '/']).ok_or_else(|| {
            InvalidName::new(
                "collection reference",
                text,
                "`institution/collection`, for example `budapest/omop`",
            )
        })?;
        Ok(Self {
            institution: institution.parse()?,
            collection: collection.parse()?,
        })
    }
}

/// One dataset of a collection: `budapest.omop.person`. A dataset with the name of its collection is written without it:
/// `budapest.heart`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawDatasetRef", into = "RawDatasetRef")]
pub struct DatasetRef {
    /// Who holds it.
    pub institution: InstitutionId,
    /// The collection that it belongs to.
    pub collection: CollectionName,
    /// Its name there.
    pub dataset: DatasetName,
}

/// As it is stored and sent. INVARIANT: `collection` is absent if it is the name of the dataset, so that one reference has one encoding.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDatasetRef {
    institution: InstitutionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collection: Option<CollectionName>,
    dataset: DatasetName,
}

impl DatasetRef {
    /// The dataset that a collection of one has: the one with its name.
    pub fn only(collection: CollectionRef) -> Self {
        let CollectionRef {
            institution,
            collection,
        } = collection;
        Self {
            dataset: DatasetName::from(&collection),
            institution,
            collection,
        }
    }

    /// The dataset called `dataset` at `institution`, in the collection of its name.
    pub fn alone(institution: InstitutionId, dataset: DatasetName) -> Self {
        Self {
            institution,
            collection: CollectionName::from(&dataset),
            dataset,
        }
    }

    /// Whether it has the name of its collection.
    pub fn is_only(&self) -> bool {
        self.collection.is_name_of(&self.dataset)
    }

    /// The collection that it belongs to.
    pub fn collection(&self) -> CollectionRef {
        CollectionRef {
            institution: self.institution.clone(),
            collection: self.collection.clone(),
        }
    }
}

impl TryFrom<RawDatasetRef> for DatasetRef {
    type Error = InvalidName;
    fn try_from(raw: RawDatasetRef) -> Result<Self, InvalidName> {
        let RawDatasetRef {
            institution,
            collection,
            dataset,
        } = raw;
        match collection {
            None => Ok(Self::alone(institution, dataset)),
            Some(named) if named.is_name_of(&dataset) => Err(InvalidName::new(
                "dataset reference",
                named.as_str(),
                "a collection with the name of its dataset is not named",
            )),
            Some(collection) => Ok(Self {
                institution,
                collection,
                dataset,
            }),
        }
    }
}

impl From<DatasetRef> for RawDatasetRef {
    fn from(reference: DatasetRef) -> Self {
        let is_only = reference.is_only();
        Self {
            institution: reference.institution,
            collection: (!is_only).then_some(reference.collection),
            dataset: reference.dataset,
        }
    }
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_only() {
            write!(f, "{}.{}", self.institution, self.dataset)
        } else {
            write!(f, "{}.{}.{}", self.institution, self.collection, self.dataset)
        }
    }
}

impl FromStr for DatasetRef {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut parts = text.split(['.', '/']);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(institution), Some(dataset), None, None) => Ok(Self::alone(institution.parse()?, dataset.parse()?)),
            (Some(institution), Some(collection), Some(dataset), None) => Ok(Self {
                institution: institution.parse()?,
                collection: collection.parse()?,
                dataset: dataset.parse()?,
            }),
            _ => Err(InvalidName::new(
                "dataset reference",
                text,
                "`institution/dataset`, for example `budapest/heart`, or `institution/collection/dataset`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dataset_reference_is_read_in_all_spellings() {
        let slash: DatasetRef = "budapest/heart".parse().unwrap();
        for same in ["budapest.heart", "budapest.heart.heart", "budapest/heart/heart"] {
            assert_eq!(same.parse::<DatasetRef>().unwrap(), slash, "{same}");
        }
        assert_eq!(slash.to_string(), "budapest.heart");
        let one: DatasetRef = "budapest/omop/person".parse().unwrap();
        assert_eq!(one.to_string(), "budapest.omop.person");
        assert_eq!(one.to_string().parse::<DatasetRef>().unwrap(), one);
        for bad in ["heart", "a.b.c.d", "budapest..person", "budapest.omop."] {
            assert!(bad.parse::<DatasetRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dataset_reference_has_one_encoding() {
        let heart: DatasetRef = "budapest/heart".parse().unwrap();
        assert_eq!(DatasetRef::only(heart.collection()), heart);
        let json = serde_json::json!({ "institution": "budapest", "dataset": "heart" });
        assert_eq!(serde_json::to_value(&heart).unwrap(), json);
        assert_eq!(serde_json::from_value::<DatasetRef>(json).unwrap(), heart);
        let twice = serde_json::json!({ "institution": "budapest", "collection": "heart", "dataset": "heart" });
        assert!(serde_json::from_value::<DatasetRef>(twice).is_err());
        let person: DatasetRef = "budapest/omop/person".parse().unwrap();
        let bytes = crate::signed::encode(&person).unwrap();
        assert_eq!(crate::signed::decode::<DatasetRef>(&bytes), Ok(person));
    }

    #[test]
    fn collection_reference_is_read_in_both_spellings() {
        let slash: CollectionRef = "budapest/omop".parse().unwrap();
        let dot: CollectionRef = "budapest.omop".parse().unwrap();
        assert_eq!(slash, dot);
        assert_eq!(slash.to_string(), "budapest.omop");
        for bad in ["omop", "budapest.omop.person", "budapest/Omop", "b/omop", "budapest/"] {
            assert!(bad.parse::<CollectionRef>().is_err(), "{bad}");
        }
    }
}
