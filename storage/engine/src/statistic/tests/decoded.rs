//! Statistics that another process sent.

use concordat_protocol::scope::Value;

use super::{Collection, only};
use crate::statistic::{ColumnPath, Group, MAX_ENCODED, Statistic, block::InvalidStatistic, encoding::cbor};

const QUERIES: [&str; 7] = [
    "SELECT count(*) FROM person",
    "SELECT gender_source_value, count(*), avg(year_of_birth) FROM person WHERE year_of_birth < 1950 GROUP BY gender_source_value",
    "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE condition_concept_id IN (1, 2) OR condition_start_date IS NULL",
    "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = p.person_id)",
    "SELECT CASE WHEN year_of_birth < 1950 THEN 'old' ELSE 'young' END AS age, count(*) FROM person GROUP BY 1",
    "SELECT condition_concept_id, count(*) FROM condition_occurrence WHERE condition_concept_id IN (1, 2) GROUP BY 1",
    "SELECT stddev_pop(year_of_birth) FROM person WHERE NOT (gender_source_value = 'M' AND race_source_value = 'white')",
];

#[test]
fn statistic_survives_its_encoding() {
    let collection = Collection::named("omop");
    for sql in QUERIES {
        let statistic = only(&collection, sql);
        let decoded = Statistic::from_untrusted(&statistic.to_bytes(), &collection.known, 1_000);
        assert_eq!(decoded, Ok(statistic), "{sql}");
    }
}

/// The digest of a query that was answered is compared with that of a later one, whatever has become possible in between.
#[test]
fn statistic_groups_by_codes_have_the_encoding_that_they_had() {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Before<'a> {
        Codes {
            of: &'a ColumnPath,
            codes: &'a [Value],
            shown: Option<ColumnPath>,
        },
    }
    let collection = Collection::named("omop");
    let statistic = only(&collection, QUERIES[5]);
    let [group @ Group::Codes { of, codes }] = statistic.groups() else {
        panic!("{statistic:?}")
    };
    let before = |shown: Option<ColumnPath>| cbor(&Before::Codes { of, codes, shown });
    assert_eq!(cbor(group), before(None));
    // A column with names is in no group any more, and is not left out in silence.
    let named = before(Some(of.clone()));
    assert!(ciborium::from_reader::<Group, _>(named.as_slice()).is_err());
}

/// Each byte in turn: what is decoded is in its one encoding, and within the bounds.
#[test]
fn statistic_with_a_changed_byte_is_another_or_none() {
    let collection = Collection::named("omop");
    for sql in QUERIES {
        let bytes = only(&collection, sql).to_bytes();
        for at in 0..bytes.len() {
            for change in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(found) = Statistic::from_untrusted(&changed, &collection.known, 1_000) {
                    assert_eq!(found.to_bytes(), changed, "{sql}");
                }
            }
        }
        for cut in 0..bytes.len() {
            let found = Statistic::from_untrusted(&bytes[..cut], &collection.known, 1_000);
            assert_eq!(found, Err(InvalidStatistic), "{sql}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Statistic::from_untrusted(&longer, &collection.known, 1_000).is_err());
    }
}

#[test]
fn statistic_beyond_its_bounds_is_refused() {
    let collection = Collection::named("omop");
    let statistic = only(&collection, QUERIES[1]);
    let cells = statistic.grid(&collection.known);
    let bytes = statistic.to_bytes();
    assert!(Statistic::from_untrusted(&bytes, &collection.known, cells).is_ok());
    assert!(Statistic::from_untrusted(&bytes, &collection.known, cells - 1).is_err());
    assert!(Statistic::from_untrusted(&vec![0; MAX_ENCODED + 1], &collection.known, cells).is_err());
    // Arrays within each other, a byte each.
    let deep = vec![0x81; 1 << 19];
    assert!(Statistic::from_untrusted(&deep, &collection.known, cells).is_err());
}
