//! Answers whose rows declare contents that they do not have, from a provider with which a well-behaved member has a grant.

use concordat_protocol::wire::streams::CATALOG;
use std::path::Path;

use concordat_protocol::collection::ColumnRole;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::query::Receipt;
use concordat_protocol::scope::{ProtectionName, Tier};
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{
    CatalogColumn, CatalogDataset, CatalogEntry, CatalogReply, CatalogRequest, QueryClosing,
};

use super::answers::{Exchange, ProviderFixture};
use super::malicious_peer::{MaliciousPeer, Wire};
use super::well_behaved::{World, column};

/// Streams that are attacks, or whose columns were not requested; the fuzzer of the reader starts from the same files.
const ATTACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/streams");

/// Sends `bytes` as the rows of an answer, with the receipt of a well-behaved provider.
async fn answer(attacker: &MaliciousPeer, mut exchange: Exchange, bytes: &[u8]) {
    let chunks = [bytes.to_vec()];
    exchange.open().await;
    // The member may have closed the stream after the first bytes.
    let _ = exchange.stream.chunk(bytes).await;
    let _ = exchange.stream.body(&[]).await;
    let receipt: Receipt = exchange.receipt(&chunks);
    let receipt = CoSigned::propose(&receipt)
        .unwrap()
        .add_signature(&attacker.node)
        .unwrap();
    let _ = exchange.stream.send(&QueryClosing { receipt, cut: None }).await;
    exchange.stream.is_dropped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_would_exhaust_memory_are_refused_unread() {
    let mut fixture = ProviderFixture::new().await;
    let mut files: Vec<_> = Path::new(ATTACKS)
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} attacks", files.len());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let respond = async |attacker: &MaliciousPeer, exchange: Exchange| answer(attacker, exchange, &bytes).await;
        // Some have other columns than the query: then the member sends it once more, and gets no answer.
        let Err(error) = fixture.answer_with(respond).await else {
            panic!("{}: it was accepted as an answer", file.display())
        };
        let expected = [ErrorKind::Integrity, ErrorKind::Unreachable];
        assert!(expected.contains(&error.kind()), "{}: {error}", file.display());
    }
    fixture.world.assert_still_serving().await;
}

/// Replaces every eight bytes of the metadata of a true answer with numbers that break readers: the member keeps running, and
/// accepts the true answer afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn number_in_an_answer_cannot_break_its_reader() {
    let mut fixture = ProviderFixture::new().await;
    let truth = fixture.truth.chunks.concat();
    let mut refused = 0;
    for position in declared(&truth)
        .into_iter()
        .flat_map(|(from, to)| (from..to).step_by(8))
    {
        for value in [i64::MAX, 1 << 45] {
            let mut bytes = truth.clone();
            bytes[position..position + 8].copy_from_slice(&value.to_le_bytes());
            let respond = async |attacker: &MaliciousPeer, exchange: Exchange| answer(attacker, exchange, &bytes).await;
            refused += usize::from(fixture.answer_with(respond).await.is_err());
        }
    }
    assert!(refused > 50, "{refused} were refused");
    let respond = async |attacker: &MaliciousPeer, exchange: Exchange| answer(attacker, exchange, &truth).await;
    fixture.answer_with(respond).await.expect("the true answer is accepted");
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalog_that_would_fill_the_memory_is_aborted() {
    let world = World::connected().await;
    world.attacker.meet(&world.member).await;
    let mut incoming = world.attacker.accept(CATALOG);
    let column = CatalogColumn {
        name: column("a"),
        kind: "x".repeat(1 << 20),
        class: "ordinary".to_owned(),
        role: ColumnRole::Value,
        unit: None,
    };
    let entry = entry("heart", vec![column]);
    let serving = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        for page in 1..=1000 {
            let Ok(CatalogRequest { .. }) = stream.recv().await else {
                return page;
            };
            let reply = CatalogReply {
                collections: vec![entry.clone()],
                next: Some(page),
            };
            if stream.send(&reply).await.is_err() {
                return page;
            }
        }
        1000
    };
    let federation = world.member.node.federation();
    let (read, pages) = tokio::join!(federation.catalog_of(&world.attacker.institution), serving);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Integrity);
    assert!(pages < 100, "{pages} pages of a MiB were read");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalog_request_for_one_dataset_is_about_no_other() {
    let world = World::connected().await;
    let ask = async |collection: Option<&str>| {
        let request = CatalogRequest {
            from: 0,
            collection: collection.map(|name| name.parse().unwrap()),
        };
        let reply: CatalogReply = world
            .attacker
            .request(&world.provider, CATALOG, &request)
            .await
            .unwrap();
        let listed = reply.collections.iter();
        let names: Vec<String> = listed.map(|entry| entry.collection.to_string()).collect();
        (names, reply.next)
    };
    let heart = || (vec!["heart".to_owned()], None);
    assert_eq!(ask(None).await, heart());
    assert_eq!(ask(Some("heart")).await, heart());
    // What is not published is answered like what does not exist.
    assert_eq!(ask(Some("ward")).await, (Vec::new(), None));
    assert_eq!(ask(Some("nothing")).await, (Vec::new(), None));

    // A well-behaved consumer asks for one dataset in one request, and takes no other for it.
    world.attacker.meet(&world.member).await;
    let mut incoming = world.attacker.accept(CATALOG);
    let serving = async {
        let (_, mut stream) = Wire::next(&mut incoming).await;
        let request: CatalogRequest = stream.recv().await.unwrap();
        let reply = CatalogReply {
            collections: vec![entry("other", Vec::new())],
            next: None,
        };
        stream.send(&reply).await.unwrap();
        request.collection.map(|collection| collection.to_string())
    };
    let wanted = format!("{}/heart", world.attacker.institution).parse().unwrap();
    let found = world.member.node.federation().collection_of(&wanted);
    let (found, requested) = tokio::join!(found, serving);
    assert!(found.unwrap().is_empty());
    assert_eq!(requested.as_deref(), Some("heart"));
    world.assert_still_serving().await;
}

/// A collection of one in a catalog.
fn entry(name: &str, columns: Vec<CatalogColumn>) -> CatalogEntry {
    CatalogEntry {
        collection: name.parse().unwrap(),
        datasets: vec![CatalogDataset {
            name: name.parse().unwrap(),
            columns,
            about_rows: 1,
        }],
        tier: Tier::Records,
        protections: [ProtectionName::Exact].into(),
    }
}

/// The positions of the metadata of the columns and of the first rows.
fn declared(bytes: &[u8]) -> [(usize, usize); 2] {
    let length = |at: usize| u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let rows = 8 + length(0);
    [(8, rows), (rows + 8, rows + 8 + length(rows))]
}
