//! Answers whose rows state what they do not hold, from a provider with which an honest member has a grant.

use std::path::Path;

use concordat_node::fault::{Code, Explain};
use concordat_protocol::query::Receipt;
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{CatalogColumn, CatalogEntry, CatalogReply, CatalogRequest, QueryClosing};
use libp2p::StreamProtocol;

use super::answers::{Exchange, Stage};
use super::honest::{World, column};
use super::rogue::{Rogue, Wire};

/// Streams that are attacks, or whose columns were not asked for; the fuzzer of the reader begins with the same.
const ATTACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/streams");

/// Sends `bytes` as the rows of an answer, with the receipt of an honest provider.
async fn answer(rogue: &Rogue, mut exchange: Exchange, bytes: &[u8]) {
    let chunks = [bytes.to_vec()];
    exchange.open().await;
    // The friend may have hung up on the first bytes.
    let _ = exchange.stream.body(bytes).await;
    let _ = exchange.stream.body(&[]).await;
    let receipt: Receipt = exchange.receipt(&chunks);
    let receipt = CoSigned::propose(&receipt).unwrap().add_signature(&rogue.node).unwrap();
    let _ = exchange.stream.send(&QueryClosing { receipt, cut: None }).await;
    exchange.stream.is_dropped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_would_exhaust_memory_are_refused_unread() {
    let mut stage = Stage::set().await;
    let mut files: Vec<_> = Path::new(ATTACKS)
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} attacks", files.len());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let act = async |rogue: &Rogue, exchange: Exchange| answer(rogue, exchange, &bytes).await;
        stage.plays(&file.display().to_string(), Code::Integrity, act).await;
    }
    stage.world.still_stands().await;
}

/// Every eight bytes of what the true answer states about itself, exchanged for what breaks readers: the friend stands, and
/// takes the true answer afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_in_an_answer_breaks_its_reader() {
    let mut stage = Stage::set().await;
    let truth = stage.truth.chunks.concat();
    let mut refused = 0;
    for place in stated(&truth).into_iter().flat_map(|(from, to)| (from..to).step_by(8)) {
        for value in [i64::MAX, 1 << 45] {
            let mut bytes = truth.clone();
            bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
            let act = async |rogue: &Rogue, exchange: Exchange| answer(rogue, exchange, &bytes).await;
            refused += usize::from(stage.play(act).await.is_err());
        }
    }
    assert!(refused > 50, "{refused} were refused");
    let act = async |rogue: &Rogue, exchange: Exchange| answer(rogue, exchange, &truth).await;
    stage.play(act).await.expect("the true answer is taken");
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalogue_that_fills_the_memory_is_given_up() {
    let world = World::met().await;
    world.rogue.meet(&world.friend).await;
    let mut incoming = world.rogue.accept(StreamProtocol::new("/concordat/catalog/1"));
    let column = CatalogColumn {
        name: column("a"),
        kind: "x".repeat(1 << 20),
        class: "ordinary".to_owned(),
    };
    let entry = CatalogEntry {
        dataset: "heart".parse().unwrap(),
        columns: vec![column],
        about_rows: 1,
        tier: Tier::Records,
    };
    let serving = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        for page in 1..=1000 {
            let Ok(CatalogRequest { .. }) = stream.recv().await else {
                return page;
            };
            let reply = CatalogReply {
                datasets: vec![entry.clone()],
                next: Some(page),
            };
            if stream.send(&reply).await.is_err() {
                return page;
            }
        }
        1000
    };
    let federation = world.friend.node.federation();
    let (read, pages) = tokio::join!(federation.catalog_of(&world.rogue.institution), serving);
    assert_eq!(read.unwrap_err().code(), Code::Integrity);
    assert!(pages < 100, "{pages} pages of a MiB were read");
    world.still_stands().await;
}

/// Where the metadata of the columns and of the first rows lies.
fn stated(bytes: &[u8]) -> [(usize, usize); 2] {
    let length = |at: usize| u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let rows = 8 + length(0);
    [(8, rows), (rows + 8, rows + 8 + length(rows))]
}
