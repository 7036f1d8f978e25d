//! Every change that a person makes through the API is recorded in the ledger under that person's name.
//!
//! The steps below are compared with the route table: a route that accepts POST and is not used here fails the test, so a new route
//! has to declare what it records. Two people with all roles take turns, so recording a constant name does not pass either.

mod collections;
mod consortium;
mod datasets;
mod fixture;
mod grants;
mod keys_and_backups;
mod limits;
mod people;
mod policies;

use std::collections::BTreeSet;
use std::path::Path;

use concordat_client::Client;
use concordat_node::routes;
use concordat_protocol::error_kind::ErrorKind;
use serde_json::{Value, json};

use super::well_behaved::InProcessNode;
use fixture::{ApiFixture, Leaves, filled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_that_changes_state_is_recorded_for_its_caller() {
    let (holder, consumer) = tokio::join!(
        InProcessNode::start("cleveland", "US"),
        InProcessNode::start("budapest", "HU")
    );
    holder.import().await;
    let mut holder = ApiFixture::open(holder).await;
    let mut consumer = ApiFixture::open(consumer).await;

    people::all(&mut holder).await;
    consortium::all(&mut holder, &mut consumer).await;
    datasets::all(&mut holder).await;
    collections::all(&mut holder).await;
    keys_and_backups::all(&mut holder).await;
    grants::all(&mut holder, &mut consumer).await;
    policies::all(&mut holder).await;
    holder.post("/v1/logout", "", json!({}), Leaves::Nothing).await;

    let used: BTreeSet<&str> = holder.used.union(&consumer.used).copied().collect();
    assert_eq!(
        used,
        posts(holder.socket.path()).await,
        "the table and the routes differ"
    );
}

/// The routes that accept POST, found by trying each.
async fn posts(socket: &Path) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for route in routes() {
        let anonymous = Client::new(socket);
        let answer: Result<Value, _> = anonymous.post(&filled(route.path, "x"), &json!({})).await;
        // A path that does not accept POST answers without a problem document, which the client cannot read.
        if answer.unwrap_err().code != ErrorKind::Internal {
            found.insert(route.path);
        }
    }
    found
}
