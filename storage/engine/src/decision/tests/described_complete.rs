//! Columns that are declared complete: no group of them is withheld for what is declared anyway.

use concordat_disclosure::Condition as Described;
use concordat_protocol::scope::Protection;

use super::{
    BY_GENDER, SUBJECTS, answered, counts,
    described::{described, scope},
    memory::Stored,
    noise,
};
use crate::statistic::tests::collections::Collection;

const BY_SEX: &str = "SELECT sex, count(*) AS n FROM patient GROUP BY sex";

/// Of the only column that describes a cell: its number of atoms, and how many of them the cell has.
fn atoms(sql: &str, cell: usize) -> (u32, u64) {
    let set = described(&Collection::named("registry"), sql, cell, &scope());
    let Described::All(parts) = set.units.condition() else {
        panic!("{set:?}")
    };
    let [Described::Atoms { of, atoms, .. }] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    (*of, atoms.len())
}

/// Both groups of all subjects, of whom no one is in another one: it is declared that no one is.
#[test]
fn decision_shows_all_groups_of_a_complete_column() {
    let cells = [0..35, 35..SUBJECTS];
    for protection in [Protection::Exact, noise()] {
        let shown = |name: &str, sql: &str| {
            let collection = Collection::named(name);
            let released = answered((&collection, sql), &cells, (&protection, &mut Stored::new())).unwrap();
            counts(&released, 0).iter().flatten().count()
        };
        assert_eq!(shown("registry", BY_SEX), 2, "{protection:?}");
        assert_eq!(shown("omop", BY_GENDER), 1, "{protection:?}");
    }
}

/// Other and missing values are no subject's, in the subject's own row from whichever row it is reached.
#[test]
fn cells_of_a_complete_column_have_declared_values_only() {
    let own = "SELECT p.sex AS g, count(DISTINCT s.id) AS n FROM stay s JOIN patient p ON p.id = s.id GROUP BY p.sex";
    for sql in [BY_SEX, own] {
        let found = [0, 1, 2, 3].map(|cell| atoms(sql, cell));
        assert_eq!(found, [(2, 1), (2, 1), (2, 0), (2, 0)], "{sql}");
    }
}

/// The row that a link leads to may be missing, and its columns with it.
#[test]
fn cells_of_a_linked_complete_column_may_be_missing() {
    let linked = "SELECT w.region AS g, count(*) AS n FROM patient p LEFT JOIN ward w ON w.ward_id = p.ward_id GROUP BY w.region";
    assert_eq!([0, 1, 2, 3].map(|cell| atoms(linked, cell)), [(4, 1); 4]);
}
