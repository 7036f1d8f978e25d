//! A dataset for tests.

use concordat_documents::dataset::{Dataset, DatasetColumn, DatasetVersion, LimitsBelowRecords, QueriesBelowRecords};
use concordat_protocol::ids::Digest32;
use concordat_protocol::schema::VersionNumber;

/// A dataset with these columns of text, none of which has a class.
pub(super) fn dataset(columns: &[&str]) -> Dataset {
    let column = |name: &&str| DatasetColumn {
        name: name.parse().unwrap(),
        kind: "text".to_owned(),
        nullable: false,
        class: None,
        generalization: None,
    };
    Dataset {
        name: "wide".parse().unwrap(),
        segment: "main".parse().unwrap(),
        version: VersionNumber::FIRST,
        oldest_version: VersionNumber::FIRST,
        keep: None,
        rows: 0,
        subject_column: None,
        subjects_numbered: true,
        published: false,
        sensitive: None,
        births: [].into(),
        limits: Vec::new(),
        below_records: LimitsBelowRecords {
            person: 100,
            institution: 100,
            all: 1000,
            set: QueriesBelowRecords::default(),
        },
        columns: columns.iter().map(column).collect(),
        source: DatasetVersion {
            version: VersionNumber::FIRST,
            rows: 0,
            objects: 0,
            bytes: 0,
            file: "wide.csv".to_owned(),
            blake3: Digest32::ZERO,
            imported_at: "2027-01-31T00:00:00Z".to_owned(),
            by: None,
        },
    }
}
