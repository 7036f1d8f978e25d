//! A grant is revoked in the middle of an answer.

use std::fmt::Write;

use concordat_tests::{Import, Person, Reader, World};

use super::{answers_released, assert_ledger_valid};

/// Rows, and 16-byte blocks in each: together more than all pipes and windows between the provider's engine and a waiting
/// reader can buffer.
const PATIENTS: u64 = 40_000;
const BLOCKS: u64 = 48;

#[test]
fn a_revoked_grant_cuts_the_answer_that_is_under_way() {
    let world = World::consortium(2);
    share_many(&world);
    let grant = world.grant("budapest", "cleveland", "scans", &["--tier", "records"]);
    let (provider, consumer) = (world.node("cleveland"), world.node("budapest"));

    consumer.log_in(Person::Researcher);
    let mut reader = Reader::start(consumer, "SELECT * FROM cleveland.scans");
    assert_eq!(reader.read(50), 50, "rows arrive before the revocation");
    let revoked = provider.json_as(
        Person::Steward,
        &["grant", "revoke", &grant, "--reason", "consent withdrawn"],
    );
    assert_eq!(revoked["state"], "REVOKED");
    let end = reader.finish();

    assert!(
        end.rows < PATIENTS,
        "all {} rows arrived although the grant was revoked",
        end.rows
    );
    assert_eq!(end.code, Some(3), "{}", end.stderr);
    assert!(
        end.stderr.contains("consent withdrawn"),
        "the reason is missing: {}",
        end.stderr
    );
    assert_ledger_records_the_cut(&world, end.rows);
    assert_further_queries_are_refused(&world, &grant);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

fn share_many(world: &World) {
    let mut text = "record,finding,score\n".to_owned();
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64;
    for record in 0..PATIENTS {
        write!(text, "{record},").unwrap();
        for _ in 0..BLOCKS {
            // Xorshift: hardly compressible, as findings are.
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            write!(text, "{noise:016x}").unwrap();
        }
        writeln!(text, ",{}", record % 97).unwrap();
    }
    let file = world.file("scans.csv", text);
    let imported = world.share(
        "cleveland",
        Import {
            dataset: "scans",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &["record=ordinary", "finding=sensitive", "score=sensitive"],
        },
    );
    assert_eq!(imported["rows"], PATIENTS);
}

/// The provider has recorded that the answer was cut, with at least as many rows as arrived.
fn assert_ledger_records_the_cut(world: &World, arrived: u64) {
    let released = answers_released(world.node("cleveland"));
    let last = released.last().expect("the answer is in the ledger");
    let rows = last["rows"].as_u64().expect("a number of rows");
    assert!(last["outcome"].to_string().contains("cut"), "{last}");
    assert!(rows < PATIENTS && rows >= arrived, "{arrived} rows arrived: {last}");
}

fn assert_further_queries_are_refused(world: &World, grant: &str) {
    let consumer = world.node("budapest");
    world.await_grant("budapest", grant, "REVOKED");
    for sql in [
        "SELECT count(*) FROM cleveland.scans",
        "SELECT * FROM cleveland.scans LIMIT 1",
    ] {
        consumer.refused_as(Person::Researcher, 3, &["query", sql]);
    }
}
