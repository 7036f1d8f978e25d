//! Answers that are none, from a provider with which an honest member has a grant.

use concordat_node::fault::{Code, Explain};
use concordat_node::federation::QueryFault;
use concordat_node::iam::Actor;
use concordat_node::sharing::QUERY;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{ActorId, Digest32, QueryId};
use concordat_protocol::query::{ActorAssertion, Outcome, QueryEnvelope, Receipt};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{
    AnswerDigest, Countersignature, QueryClosing, QueryFrame, QueryOpening, Refusal, RefusalCode,
};
use libp2p_stream::IncomingStreams;

use super::deal::{given, granted};
use super::honest::{SUBJECTS, World};
use super::questions::{Answer, ask, question};
use super::rogue::{Rogue, Wire, now};

const SQL: &str = "SELECT sex, chol FROM zurich.heart";

/// A world in which the friend asks the rogue, which has true rows to tell, and a person who asks.
pub(super) struct Stage {
    pub(super) world: World,
    eva: Actor,
    pub(super) truth: Answer,
    incoming: IncomingStreams,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let world = World::met().await;
        world.rogue.meet(&world.friend).await;
        let grant = granted(&world).await;
        let asked = question(&world, grant, |_| (), |_| ());
        let truth = ask(&world.rogue, &world.provider, asked)
            .await
            .expect("a sound question is answered");
        given(&world).await;
        let eva = world.friend.researcher().await;
        let incoming = world.rogue.accept(QUERY);
        Self {
            world,
            eva,
            truth,
            incoming,
        }
    }

    /// The friend asks while the rogue answers with `act`; both are waited for.
    pub(super) async fn play(&mut self, act: impl AsyncFnOnce(&Rogue, Exchange)) -> Result<usize, QueryFault> {
        let (world, incoming) = (&self.world, &mut self.incoming);
        let acting = async {
            let (_, mut stream) = Wire::next(incoming).await;
            let frame: QueryFrame = stream.recv().await.unwrap();
            let asked = frame.envelope.peek_unverified().unwrap();
            act(&world.rogue, Exchange { stream, asked }).await;
        };
        let (answered, ()) = tokio::join!(world.friend.ask(&self.eva, SQL), acting);
        answered
    }

    pub(super) async fn plays(&mut self, what: &str, code: Code, act: impl AsyncFnOnce(&Rogue, Exchange)) {
        match self.play(act).await {
            Ok(rows) => panic!("{what}: {rows} rows were taken for an answer"),
            Err(fault) => assert_eq!(fault.code(), code, "{what}: {fault}"),
        }
    }
}

/// One question of the friend, as the rogue has it.
pub(super) struct Exchange {
    pub(super) stream: Wire,
    asked: QueryEnvelope,
}

impl Exchange {
    pub(super) async fn open(&mut self) {
        let opening = QueryOpening::Accepted {
            query: self.asked.query,
            tier: Tier::Records,
        };
        self.stream.send(&opening).await.unwrap();
    }

    pub(super) async fn rows(&mut self, chunks: &[Vec<u8>]) {
        for chunk in chunks {
            self.stream.body(chunk).await.unwrap();
        }
        self.stream.body(&[]).await.unwrap();
    }

    fn actor(&self) -> ActorId {
        let ActorAssertion { actor, .. } = self.asked.actor.peek_unverified().unwrap();
        actor
    }

    /// The receipt an honest provider would sign.
    pub(super) fn receipt(&self, chunks: &[Vec<u8>]) -> Receipt {
        let mut answer = AnswerDigest::default();
        chunks.iter().for_each(|chunk| answer.update(chunk));
        Receipt {
            query: self.asked.query,
            grant: self.asked.grant,
            provider: self.asked.to.clone(),
            consumer: self.asked.from.clone(),
            actor: self.actor(),
            purpose: self.asked.purpose.clone(),
            sql: self.asked.sql_digest(),
            tier: Tier::Records,
            rows: SUBJECTS as u64,
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            suppressed_cells: 0,
            answer: answer.finish(),
            outcome: Outcome::Completed,
            decision: Digest32::ZERO,
            ledger: super::rogue::empty_ledger(&self.asked.to, &NodeKey::from_seed(&[3; 32].into())),
            at: now(),
        }
    }

    pub(super) async fn close(&mut self, rogue: &Rogue, receipt: &Receipt, cut: Option<Refusal>) {
        let receipt = CoSigned::propose(receipt).unwrap().add_signature(&rogue.node).unwrap();
        self.stream.send(&QueryClosing { receipt, cut }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_true_answer_is_taken_and_countersigned() {
    let mut stage = Stage::set().await;
    let chunks = stage.truth.chunks.clone();
    let rows = stage.play(async |rogue, mut exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = exchange.receipt(&chunks);
        exchange.close(rogue, &receipt, None).await;
        exchange
            .stream
            .recv::<Countersignature>()
            .await
            .expect("the friend signs what is true");
    });
    assert_eq!(rows.await.unwrap(), SUBJECTS);
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_about_something_else_is_not_signed() {
    type Lie = fn(&mut Receipt);
    let lies: [(&str, Lie); 11] = [
        ("another digest", |r| r.answer = Digest32::ZERO),
        ("other rows", |r| r.rows += 1),
        ("other bytes", |r| r.bytes += 1),
        ("another question", |r| r.sql = Digest32::ZERO),
        ("another query", |r| r.query = QueryId::from_bytes([1; 16])),
        ("another person", |r| r.actor = "mallory@budapest".parse().unwrap()),
        ("another consumer", |r| r.consumer = "cleveland".parse().unwrap()),
        ("another provider", |r| r.provider = "cleveland".parse().unwrap()),
        ("another grant", |r| {
            r.grant = concordat_protocol::ids::GrantId::from_bytes([1; 16])
        }),
        ("another end", |r| r.outcome = Outcome::Cut),
        ("another purpose", |r| {
            r.purpose = concordat_protocol::scope::Purpose::Ancestry
        }),
    ];
    let mut stage = Stage::set().await;
    let chunks = stage.truth.chunks.clone();
    for (what, lie) in lies {
        let act = async |rogue: &Rogue, mut exchange: Exchange| {
            exchange.open().await;
            exchange.rows(&chunks).await;
            let mut receipt = exchange.receipt(&chunks);
            lie(&mut receipt);
            exchange.close(rogue, &receipt, None).await;
            assert!(exchange.stream.is_dropped().await, "{what} was signed");
        };
        stage.plays(what, Code::Integrity, act).await;
    }
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_the_provider_did_not_sign_is_not_signed() {
    let mut stage = Stage::set().await;
    let (chunks, foreign) = (stage.truth.chunks.clone(), stage.truth.receipt.clone());
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        exchange
            .stream
            .send(&QueryClosing {
                receipt: foreign,
                cut: None,
            })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    stage.plays("another provider's receipt", Code::Integrity, act).await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = CoSigned::propose(&exchange.receipt(&chunks)).unwrap();
        exchange
            .stream
            .send(&QueryClosing { receipt, cut: None })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    stage.plays("no signature", Code::Integrity, act).await;
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_another_question_is_refused() {
    let mut stage = Stage::set().await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        let query = QueryId::from_bytes([1; 16]);
        exchange
            .stream
            .send(&QueryOpening::Accepted {
                query,
                tier: Tier::Records,
            })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    stage.plays("another query", Code::Integrity, act).await;
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_rows_end_in_a_clear_error() {
    let mut stage = Stage::set().await;
    let truth = stage.truth.chunks.concat();
    let half = truth.len() / 2;
    let mut flipped = truth.clone();
    flipped.iter_mut().skip(half).step_by(7).for_each(|byte| *byte ^= 0xff);
    let huge_metadata = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let garbage: [(&str, Vec<u8>); 7] = [
        ("text", b"sex,chol\n1,200\n".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("ones", vec![0xff; 100_000]),
        ("half an answer", truth[..half].to_vec()),
        ("an answer twice", [truth.clone(), truth.clone()].concat()),
        ("flipped bits", flipped),
        ("metadata of two gibibytes", huge_metadata.to_vec()),
    ];
    for (what, bytes) in garbage {
        let chunks = vec![bytes];
        let act = async |rogue: &Rogue, mut exchange: Exchange| {
            exchange.open().await;
            // The friend may have hung up on the first bytes.
            let _ = exchange.stream.body(&chunks[0]).await;
            let _ = exchange.stream.body(&[]).await;
            let receipt = CoSigned::propose(&exchange.receipt(&chunks))
                .unwrap()
                .add_signature(&rogue.node)
                .unwrap();
            let _ = exchange.stream.send(&QueryClosing { receipt, cut: None }).await;
            assert!(exchange.stream.is_dropped().await, "{what} was countersigned");
        };
        stage.plays(what, Code::Integrity, act).await;
    }
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_answer_without_rows_is_given_up() {
    let mut stage = Stage::set().await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        let start = [
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f].as_slice(),
            &vec![0; 500_000],
        ]
        .concat();
        let mut sent = exchange.stream.body(&start).await;
        for _ in 0..1000 {
            if sent.is_err() {
                return;
            }
            sent = exchange.stream.body(&vec![0; 1 << 20]).await;
        }
        panic!("a gibibyte without a row was read");
    };
    stage.plays("no rows for ever", Code::Integrity, act).await;
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let mut stage = Stage::set().await;
    let chunks = stage.truth.chunks.clone();
    let act = async |_: &Rogue, exchange: Exchange| drop(exchange);
    stage.plays("no word at all", Code::Unreachable, act).await;
    let act = async |_: &Rogue, mut exchange: Exchange| exchange.open().await;
    stage.plays("no rows", Code::Unreachable, act).await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.stream.raw(&[0, 0, 1, 0, 0xff]).await.unwrap();
    };
    stage.plays("half a chunk", Code::Unreachable, act).await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
    };
    stage.plays("no receipt", Code::Unreachable, act).await;
    let act = async |_: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.stream.raw(&[0xff; 8]).await.unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    stage.plays("a chunk of four gibibytes", Code::Unreachable, act).await;
    stage.world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_after_which_the_provider_reports_a_cut_end_in_that_error() {
    let mut stage = Stage::set().await;
    let chunks = stage.truth.chunks.clone();
    let act = async |rogue: &Rogue, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = Receipt {
            outcome: Outcome::Cut,
            ..exchange.receipt(&chunks)
        };
        let cut = Refusal::because(RefusalCode::Denied, "the grant was revoked");
        exchange.close(rogue, &receipt, Some(cut)).await;
        exchange
            .stream
            .recv::<Countersignature>()
            .await
            .expect("what came is signed for");
    };
    stage.plays("a cut", Code::Denied, act).await;
    stage.world.still_stands().await;
}
