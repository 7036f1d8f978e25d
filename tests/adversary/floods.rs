//! A member that uses up all the capacity it can get.

use concordat_protocol::wire::messages::RosterMessage;
use concordat_protocol::wire::streams::ROSTER;
use concordat_tests::tester;

use super::malicious_peer::MaliciousPeer;
use super::well_behaved::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_never_used_delay_no_one() {
    let world = World::connected().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        if let Ok(mut stream) = world.attacker.open(&world.provider, ROSTER).await {
            // A stream that cannot be written to was refused already.
            let _ = stream.raw(&[0, 0, 0]).await;
            held.push(stream);
        }
    }
    world.assert_still_serving().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_keeps_dialing_blocks_no_one() {
    let world = World::new().await;
    for _ in 0..100 {
        // The gate may refuse; the test checks that it still admits others.
        let _ = world.attacker.dial(&world.provider).await;
    }
    let late = MaliciousPeer::start("zagreb", 44);
    world
        .provider
        .node
        .membership()
        .admit(late.enrollment().as_bytes(), &tester())
        .await
        .unwrap();
    late.meet(&world.provider).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn non_members_that_keep_dialing_block_no_one() {
    let world = World::new().await;
    for seed in 150..190 {
        let _ = MaliciousPeer::start("zagreb", seed).dial(&world.provider).await;
    }
    world.attacker.meet(&world.provider).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_answers_are_not_read_delay_no_one() {
    let world = World::connected().await;
    let mut unread = Vec::new();
    for _ in 0..100 {
        if let Ok(mut stream) = world.attacker.open(&world.provider, ROSTER).await {
            let _ = stream.send(&RosterMessage::Request).await;
            unread.push(stream);
        }
    }
    world.assert_still_serving().await;
    drop(unread);
}
