//! Queries of a member's own people that no one reads any more, or that never end.

use std::time::Duration;

use concordat_node::{Actor, Question};
use tokio::time::Instant;

use super::engine::KILLING;
use super::negotiation_fixture::grant_between_members;
use super::well_behaved::{SUBJECTS, World};

/// Hours of work in a few calls, of which none can be stopped: each compares two texts of 30,000 letters.
const ENDLESS: &str = "SELECT max(levenshtein(rpad(CAST(chol AS TEXT), 30000, 'a'), rpad(CAST(sex AS TEXT), 30000, 'b'))) AS n \
                       FROM cleveland.heart";
/// Longest time for a small query beside them. One that waits for the others would take minutes.
const SMALL: Duration = Duration::from_secs(20);

/// Reads the answer of a query that never ends, for some time.
async fn read_for(world: &World, person: &Actor, time: Duration) {
    let question = Question::new(ENDLESS);
    let reading = async {
        let mut answer = world
            .member
            .node
            .federation()
            .query(person, &question)
            .await
            .expect("it begins");
        answer.next().await
    };
    let read = tokio::time::timeout(time, reading).await;
    assert!(read.is_err(), "it has an answer, or an error: {read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_queries_left_by_their_readers_block_no_other() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    let small = async |sql: &str, rows: usize| {
        let began = Instant::now();
        assert_eq!(world.member.query(&eva, sql).await.unwrap(), rows, "{sql}");
        assert!(began.elapsed() < SMALL, "{sql}: {:?}", began.elapsed());
    };
    // As many as one person may have computed at a time. Planning, and a query that one member answers, wait for neither.
    let left = Duration::from_secs(12);
    let beside = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        small("SELECT count(*) AS n FROM cleveland.heart", 1).await;
    };
    tokio::join!(read_for(&world, &eva, left), read_for(&world, &eva, left), beside);
    // Their slots and processors are free again, for what is computed by the member too.
    small("SELECT initcap(CAST(sex AS TEXT)) AS s FROM cleveland.heart", SUBJECTS).await;
    world.assert_still_serving().await;
}

/// As many requests as a hundred and fifty windows of a program send: more than the streams that a member accepts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogs_of_one_person_leave_streams_to_colleagues() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    let federation = world.member.node.federation();
    let cleveland = "cleveland".parse().unwrap();
    let catalogs = futures::future::join_all((0..150).map(|_| federation.catalog_of(&cleveland)));
    let queries = async {
        for _ in 0..4 {
            let sql = "SELECT count(*) AS n FROM cleveland.heart";
            assert_eq!(world.member.query(&eva, sql).await.unwrap(), 1);
        }
    };
    let (listed, ()) = tokio::join!(catalogs, queries);
    assert!(listed.iter().all(Result::is_ok));
    world.assert_still_serving().await;
}
