//! A member that takes up all the room it can get.

use concordat_node::membership::ROSTER;
use concordat_protocol::wire::messages::RosterMessage;
use concordat_tests::tester;

use super::honest::World;
use super::rogue::Rogue;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_never_used_hold_up_nobody_else() {
    let world = World::met().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        if let Ok(mut stream) = world.rogue.open(&world.provider, ROSTER).await {
            // What cannot be written was refused already.
            let _ = stream.raw(&[0, 0, 0]).await;
            held.push(stream);
        }
    }
    world.still_stands().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dials_and_dials_keeps_nobody_out() {
    let world = World::new().await;
    for _ in 0..100 {
        // The gate may refuse; what counts is that it goes on to admit others.
        let _ = world.rogue.dial(&world.provider).await;
    }
    let late = Rogue::start("zagreb", 44);
    world
        .provider
        .node
        .membership()
        .admit(late.enrolment().as_bytes(), &tester())
        .await
        .unwrap();
    late.meet(&world.provider).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_dial_and_dial_keep_nobody_out() {
    let world = World::new().await;
    for seed in 150..190 {
        let _ = Rogue::start("zagreb", seed).dial(&world.provider).await;
    }
    world.rogue.meet(&world.provider).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_whose_answers_are_not_read_hold_up_nobody_else() {
    let world = World::met().await;
    let mut unread = Vec::new();
    for _ in 0..100 {
        if let Ok(mut stream) = world.rogue.open(&world.provider, ROSTER).await {
            let _ = stream.send(&RosterMessage::Ask).await;
            unread.push(stream);
        }
    }
    world.still_stands().await;
    drop(unread);
}
