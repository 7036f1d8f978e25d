//! Columns as people name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::names::{ColumnName, DatasetName, InvalidName};

/// A column as a person names it in a request or an offer: `person.sex`, or `sex` alone, which means the column of this name in each
/// dataset that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SelectedColumn {
    /// The dataset; `None` for each one that has the column.
    pub dataset: Option<DatasetName>,
    /// The column.
    pub column: ColumnName,
}

impl SelectedColumn {
    /// Whether the column of the dataset is meant.
    pub fn is(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        self.column == *column && self.dataset.as_ref().is_none_or(|named| named == dataset)
    }
}

/// A column of this name, of whatever dataset.
impl From<ColumnName> for SelectedColumn {
    fn from(column: ColumnName) -> Self {
        Self { dataset: None, column }
    }
}

impl fmt::Display for SelectedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dataset {
            Some(dataset) => write!(f, "{dataset}.{}", self.column),
            None => fmt::Display::fmt(&self.column, f),
        }
    }
}

impl FromStr for SelectedColumn {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.split_once('.') {
            Some((dataset, column)) => Ok(Self {
                dataset: Some(dataset.parse()?),
                column: column.parse()?,
            }),
            None => Ok(Self::from(text.parse::<ColumnName>()?)),
        }
    }
}

impl TryFrom<String> for SelectedColumn {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<SelectedColumn> for String {
    fn from(column: SelectedColumn) -> Self {
        column.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_column_is_read_with_and_without_its_dataset() {
        let person: DatasetName = "person".parse().unwrap();
        let visit: DatasetName = "visit".parse().unwrap();
        let sex: ColumnName = "sex".parse().unwrap();
        let of_person: SelectedColumn = "person.sex".parse().unwrap();
        assert!(of_person.is(&person, &sex) && !of_person.is(&visit, &sex));
        let of_all: SelectedColumn = "sex".parse().unwrap();
        assert!(of_all.is(&person, &sex) && of_all.is(&visit, &sex));
        assert!(!of_all.is(&person, &"age".parse().unwrap()));
        for text in ["person.sex", "sex", "person.Größe"] {
            assert_eq!(text.parse::<SelectedColumn>().unwrap().to_string(), text);
        }
        for invalid in ["", ".sex", "person.", "Person.sex", "a.b.c", "person.a b"] {
            assert!(invalid.parse::<SelectedColumn>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn selected_column_is_text_in_documents() {
        let json = serde_json::json!({ "person.sex": 1, "age": 2 });
        let read: std::collections::BTreeMap<SelectedColumn, u8> = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(serde_json::to_value(read).unwrap(), json);
        assert!(serde_json::from_value::<SelectedColumn>(serde_json::json!("a b")).is_err());
    }
}
