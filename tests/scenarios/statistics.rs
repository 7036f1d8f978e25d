//! Below the tier `records`: the size of a group is counted in patients, not in rows.

use std::fmt::Write;

use concordat_tests::{Import, World};

use super::answers_released;

/// Wards with their patients and the visits of each. `c` has many rows of too few patients.
const WARDS: [(&str, u32, u32); 4] = [("a", 30, 3), ("b", 25, 2), ("c", 3, 100), ("d", 12, 1)];
const BY_WARD: &str = "SELECT ward, count(*) AS visits FROM cleveland.stays GROUP BY ward ORDER BY ward";

#[test]
fn groups_of_few_patients_are_withheld_despite_many_rows() {
    let world = World::consortium(2);
    let cleveland = share_stays(&world, "cleveland");
    let budapest = share_stays(&world, "budapest");
    assert_eq!((cleveland, budapest), (452, 452));
    let grant = world.grant("budapest", "cleveland", "stays", &["--tier", "aggregate"]);
    let researcher = world.node("budapest");

    // `c` has three patients; `d`, the smallest of the others, is withheld with it; otherwise a total would reveal `c`.
    let answered = researcher.query(BY_WARD).ok();
    // Without these notes a person would take the answer for a complete one.
    for note in [
        "leaves out groups of `cleveland.stays` with fewer than 10 subjects",
        "1 receipt signed by both sides",
    ] {
        assert!(answered.stderr.contains(note), "{note}: {}", answered.stderr);
    }
    let answer = answered.table();
    assert_eq!(answer.rows, [["a", "90"], ["b", "50"]]);
    let suppressed = answers_released(world.node("cleveland"));
    assert_eq!(suppressed.last().unwrap()["rows"], 2);

    let total = researcher
        .query("SELECT count(*) AS n, avg(score) AS mean FROM cleveland.stays")
        .ok()
        .table();
    assert_eq!(total.rows, [["452", "7.0"]]);
    let few = researcher
        .query("SELECT count(*) AS n, sum(score) AS total FROM cleveland.stays WHERE ward = 'c'")
        .ok()
        .table();
    assert_eq!(few.rows, [["", ""]], "three hundred rows of three patients");

    for rows in [
        "SELECT * FROM cleveland.stays",
        "SELECT max(score) FROM cleveland.stays",
        "SELECT patient FROM cleveland.stays",
    ] {
        assert_ne!(researcher.query(rows).code, Some(0), "{rows}");
    }

    // Local records and the statistics of another member under one name.
    let both = "SELECT ward, count(*) AS visits FROM consortium.stays GROUP BY ward ORDER BY ward";
    let both = researcher.query(both).ok().table();
    let of = |ward: &str| both.rows.iter().find(|row| row[0] == ward).map(|row| row[1].clone());
    assert_eq!(of("a").as_deref(), Some("180"), "{both:?}");
    assert_eq!(of("b").as_deref(), Some("100"), "{both:?}");
    world.await_grant("cleveland", &grant, "ACTIVE");
}

fn share_stays(world: &World, holder: &str) -> u64 {
    let mut text = "patient,ward,score\n".to_owned();
    let mut patient = 1000;
    for (ward, patients, visits) in WARDS {
        for _ in 0..patients {
            patient += 1;
            for _ in 0..visits {
                writeln!(text, "{patient},{ward},7").unwrap();
            }
        }
    }
    let file = world.file(&format!("{holder}-stays.csv"), text);
    let imported = world.share(
        holder,
        Import {
            dataset: "stays",
            from: &file,
            args: &["--subject-column", "patient"],
            classes: &["patient=direct-identifier", "ward=ordinary", "score=sensitive"],
        },
    );
    imported["rows"].as_u64().unwrap()
}
