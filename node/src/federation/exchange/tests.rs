use std::time::Duration;

use concordat_protocol::audit::{Cause, LedgerHead, TreeHead};
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::{ActorId, GrantId, QueryId};
use concordat_protocol::query::ActorAssertion;
use concordat_protocol::scope::Purpose;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::RefusalCode;
use datafusion::arrow::ipc::writer::StreamWriter;
use zeroize::Zeroizing;

use super::*;
use crate::federation::table::tests::{batch, ints};
use crate::network::Deadlines;
use crate::network::framed::testing::{Wire, ends};

const PATIENT: Deadlines = Deadlines {
    quiet: Duration::from_secs(60),
    frame: Duration::from_secs(60),
};
const HASTY: Deadlines = Deadlines {
    quiet: Duration::from_millis(30),
    frame: Duration::from_millis(30),
};
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn asked() -> Asked {
    let (ours, theirs) = (key(1), key(2));
    let actor: ActorId = "eva@basel".parse().unwrap();
    let query = QueryId::from_bytes([3; 16]);
    let assertion = ActorAssertion {
        actor: actor.clone(),
        roles: [].into(),
        factors: [].into(),
        authenticated_at: NOW,
        password_reset_at: None,
        training_until: None,
        audience: "aachen".parse().unwrap(),
        query,
        expires: NOW.plus_seconds(60),
    };
    let question = QueryEnvelope {
        query,
        grant: GrantId::from_bytes([4; 16]),
        from: "basel".parse().unwrap(),
        to: "aachen".parse().unwrap(),
        actor: Signed::sign(&assertion, &ours).unwrap().signed().clone(),
        purpose: Purpose::HealthResearch,
        sql: "SELECT id FROM heart".to_owned(),
        sent_at: NOW,
        deadline: NOW.plus_seconds(60),
    };
    let signed = Signed::sign(&question, &ours).unwrap().signed().clone();
    Asked {
        question,
        signed,
        by: Attribution::vouch(Cause::Person { actor: actor.clone() }),
        actor,
        node: theirs.public(),
        tier: Tier::Aggregate,
        columns: AskedColumns::asked_for("SELECT id FROM heart", &["id".to_owned()].into()).unwrap(),
    }
}

/// An answer of two rows.
fn answer() -> Vec<u8> {
    let rows = batch(vec![("id", ints(&[1, 2]))]);
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    std::mem::take(writer.get_mut())
}

fn ledger_head(institution: InstitutionId) -> Signed<LedgerHead> {
    let tree = TreeHead {
        size: 1,
        root: Digest32::ZERO,
    };
    let head = LedgerHead {
        institution,
        node: key(2).public(),
        generation: 0,
        tree,
        at: NOW,
    };
    Signed::sign(&head, &key(2)).unwrap().signed().clone()
}

fn receipt(bytes: &[u8]) -> Receipt {
    let Asked { question, actor, .. } = asked();
    let mut digest = AnswerDigest::default();
    digest.update(bytes);
    Receipt {
        query: question.query,
        grant: question.grant,
        provider: question.to.clone(),
        consumer: question.from.clone(),
        actor,
        purpose: question.purpose.clone(),
        sql: question.sql_digest(),
        tier: Tier::Aggregate,
        rows: 2,
        bytes: bytes.len() as u64,
        suppressed_cells: 0,
        answer: digest.finish(),
        outcome: Outcome::Completed,
        decision: Digest32::ZERO,
        ledger: ledger_head(question.to.clone()),
        at: NOW,
    }
}

/// Plays a provider that answers as it should, but for what `change` does to its opening, receipt or cut.
async fn provide(mut wire: Wire, change: impl FnOnce(&mut QueryOpening, &mut Receipt, &mut Option<Refusal>)) -> Wire {
    let QueryFrame { .. } = wire.expect().await.unwrap();
    let bytes = answer();
    let mut opening = QueryOpening::Accepted {
        query: asked().question.query,
        tier: Tier::Aggregate,
    };
    let (mut receipt, mut cut) = (receipt(&bytes), None);
    change(&mut opening, &mut receipt, &mut cut);
    wire.send(&opening).await.unwrap();
    wire.send_chunk(bytes.into()).await.unwrap();
    wire.end_chunks().await.unwrap();
    let receipt = CoSigned::propose(&receipt).unwrap().add_signature(&key(2)).unwrap();
    wire.send(&QueryClosing { receipt, cut }).await.unwrap();
    wire
}

/// Reads an answer to its end, as far as the receipt that would be signed.
async fn read(wire: Wire) -> Result<(u64, Closing), QueryFault> {
    let (mut reading, schema) = Reading::begin(wire, asked()).await?;
    assert!(schema.is_some());
    while reading.next_batch().await?.is_some() {}
    let (_, closing) = reading.closing().await?;
    Ok((reading.rows, closing))
}

async fn against(
    change: impl FnOnce(&mut QueryOpening, &mut Receipt, &mut Option<Refusal>),
) -> Result<(u64, Closing), QueryFault> {
    let (ours, theirs) = ends(key(2).public(), PATIENT);
    let (result, _theirs) = tokio::join!(read(ours), provide(theirs, change));
    result
}

#[tokio::test]
async fn a_true_answer_is_read_with_its_receipt() {
    let (rows, closing) = against(|_, _, _| {}).await.unwrap();
    assert_eq!(rows, 2);
    assert!(closing.cut.is_none());
}

#[tokio::test]
async fn an_answer_above_the_tier_of_the_grant_is_refused() {
    let raised = |opening: &mut QueryOpening, _: &mut Receipt, _: &mut Option<Refusal>| {
        *opening = QueryOpening::Accepted {
            query: asked().question.query,
            tier: Tier::Records,
        };
    };
    let fault = against(raised).await.unwrap_err();
    assert!(
        matches!(&fault, QueryFault::Misbehaved { detail, .. } if detail.contains("above")),
        "{fault}"
    );
}

#[tokio::test]
async fn columns_that_were_not_asked_for_are_not_taken() {
    let (ours, theirs) = ends(key(2).public(), PATIENT);
    let mut narrow = asked();
    narrow.columns = AskedColumns::asked_for("SELECT sex FROM heart", &["sex".to_owned()].into()).unwrap();
    let (begun, _theirs) = tokio::join!(Reading::begin(ours, narrow), provide(theirs, |_, _, _| {}));
    let fault = begun.unwrap_err();
    assert!(
        matches!(&fault, QueryFault::Misbehaved { detail, .. } if detail.contains("a column `id`")),
        "{fault}"
    );
}

#[tokio::test]
async fn a_receipt_that_states_other_rows_is_not_signed() {
    let fault = against(|_, receipt, _| receipt.rows = 3).await.unwrap_err();
    assert!(
        matches!(&fault, QueryFault::Misbehaved { detail, .. } if detail.contains("rows")),
        "{fault}"
    );
}

#[tokio::test]
async fn a_cut_is_neither_hidden_nor_invented() {
    let fault = against(|_, receipt, _| receipt.outcome = Outcome::Cut)
        .await
        .unwrap_err();
    assert!(
        matches!(&fault, QueryFault::Misbehaved { detail, .. } if detail.contains("contradict")),
        "{fault}"
    );
    let why = || Refusal::because(RefusalCode::Denied, "the grant was revoked");
    let fault = against(|_, _, cut| *cut = Some(why())).await.unwrap_err();
    assert!(matches!(&fault, QueryFault::Misbehaved { .. }), "{fault}");

    let honest = |_: &mut QueryOpening, receipt: &mut Receipt, cut: &mut Option<Refusal>| {
        receipt.outcome = Outcome::Cut;
        *cut = Some(why());
    };
    let (_, closing) = against(honest).await.unwrap();
    assert!(matches!(closing.cut, Some(QueryFault::Cut { rows: 2, .. })));
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_given_up() {
    let (ours, mut theirs) = ends(key(2).public(), HASTY);
    theirs.set_deadlines(PATIENT);
    let silent = async {
        let QueryFrame { .. } = theirs.expect().await.unwrap();
        theirs
            .send(&QueryOpening::Accepted {
                query: asked().question.query,
                tier: Tier::Aggregate,
            })
            .await
            .unwrap();
        std::future::pending::<()>().await;
    };
    let fault = tokio::select! {
        read = read(ours) => read.unwrap_err(),
        () = silent => unreachable!("it never says anything more"),
    };
    assert!(
        matches!(
            fault,
            QueryFault::Unreachable {
                source: NetworkError::Stalled { .. },
                ..
            }
        ),
        "{fault:?}"
    );
}
