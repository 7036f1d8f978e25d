//! A grant is revoked in the middle of an answer.

use std::fmt::Write;

use concordat_tests::{Import, Person, Reader, TestNode, World};

use super::{answers_released, assert_ledger_valid, entries};

/// Rows, and 16-byte blocks in each: together more than the command line, the consumer's node and the chunk on its way hold while the
/// reader waits.
const PATIENTS: u64 = 40_000;
const BLOCKS: u64 = 48;
/// Most bytes in one chunk of an answer.
const CHUNK: u64 = 1 << 20;

#[test]
fn a_revoked_grant_cuts_the_answer_that_is_under_way() {
    let world = World::consortium(2);
    share_many(&world);
    let grant = world.grant("budapest", "cleveland", "scans", &["--tier", "records"]);
    let provider = world.node("cleveland");
    let consumer = world.node("budapest");

    consumer.log_in(Person::Researcher);
    let mut reader = Reader::start(consumer, "SELECT * FROM cleveland.scans");
    assert_eq!(reader.read(50), 50, "rows arrive before the revocation");
    let revoked = provider.json_as(
        Person::Steward,
        &["grant", "revoke", &grant, "--reason", "consent withdrawn"],
    );
    assert_eq!(revoked["state"], "REVOKED");
    let (rows, bytes) = released_until_the_cut(provider);
    let end = reader.finish();

    // The reader has read on after the revocation: not one row follows those that had left before it.
    assert!(end.rows <= rows, "{} of {rows} rows arrived", end.rows);
    let received = entries(consumer, "query_closed").pop().expect("the query is closed");
    let received = received["bytes"].as_u64().expect("a number of bytes");
    assert!(received <= bytes, "{received} of {bytes} bytes arrived");
    assert!(bytes - received <= CHUNK, "more than one chunk was on its way");
    assert_eq!(end.code, Some(3), "{}", end.stderr);
    assert!(
        end.stderr.contains("consent withdrawn"),
        "the reason is missing: {}",
        end.stderr
    );
    assert_further_queries_are_refused(&world, &grant);
    for node in &world.nodes {
        assert_ledger_valid(node);
    }
}

/// Shares `cleveland.scans`, which has more rows than wait on their way to a reader.
pub(super) fn share_many(world: &World) {
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

/// The rows and bytes that the provider has recorded as released when the answer was cut, before the reader reads on.
fn released_until_the_cut(provider: &TestNode) -> (u64, u64) {
    provider.await_condition("the outcome is in the ledger", |node| {
        !answers_released(node).is_empty()
    });
    let last = answers_released(provider).pop().expect("the answer is in the ledger");
    // Whether the last chunk was confirmed depends on where the revocation met the answer.
    assert!(last["outcome"]["cut"].is_object(), "{last}");
    let number = |key: &str| last[key].as_u64().expect("a number");
    assert!(number("rows") < PATIENTS, "{last}");
    (number("rows"), number("bytes"))
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
