//! What a member has found out about single people by statistics, each as it was found: the queries are permitted, and the answers together
//! name one of them. The provider decides about each answer with all that it has answered before.
//!
//! The answers are read by their numbers of rows: `HAVING` over a released figure is true, false, or missing where the figure is withheld.

use std::fmt::Write as _;
use std::time::Duration;

use concordat_client::Client;
use concordat_node::config::ImportSection;
use concordat_node::{Api, SessionToken, Shutdown, serve};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{Scope, Tier};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use serde_json::{Value, json};

use super::malicious_peer::soon;
use super::negotiation_fixture::granted_of;
use super::queries::{Answer, envelope, send_query};
use super::well_behaved::{InProcessNode, World, nameless};

/// The one woman whose cholesterol is not 100: the target. There are 30 women and 30 men.
const TARGET: &str = "sex = 1 AND chol <> 100";

/// 30 women, all but one of them with a cholesterol of 100; 10 men with 100 and 20 with 200.
fn cohort() -> String {
    let mut text = "record_number,name,age,sex,chol\n".to_owned();
    for n in 0..60 {
        let [sex, chol] = match n {
            0 => [1, 1_000_000],
            1..30 => [1, 100],
            30..40 => [0, 100],
            _ => [0, 200],
        };
        writeln!(text, "R{n:05},Patient {n},{},{sex},{chol}", 40 + n % 20).unwrap();
    }
    text
}

/// A member with a grant for statistics.
struct Study {
    world: World,
    grant: GrantId,
}

impl Study {
    /// With these settings of the provider's policy set.
    async fn under(settings: Value) -> Self {
        let world = World::connected().await;
        world.provider.import_text(cohort()).await;
        apply(&world.provider, settings).await;
        let scope = Scope {
            tier: Tier::Aggregate,
            ..nameless(&world.provider)
        };
        let grant = granted_of(&world, scope).await;
        Self { world, grant }
    }

    async fn exact() -> Self {
        Self::under(json!({ "protection": "exact" })).await
    }

    async fn send_as(&self, person: &str, sql: &str) -> Result<Answer, Refusal> {
        let actor = format!("{person}@{}", self.world.attacker.institution).parse().unwrap();
        let query = envelope(
            &self.world,
            self.grant,
            |draft| draft.sql = sql.to_owned(),
            |stated| stated.actor = actor,
        );
        soon(send_query(&self.world.attacker, &self.world.provider, query)).await
    }

    async fn send(&self, sql: &str) -> Result<Answer, Refusal> {
        self.send_as("mallory", sql).await
    }

    /// The number of rows of an answer.
    async fn rows(&self, sql: &str) -> u64 {
        let answer = self.send(sql).await;
        let answer = answer.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        answer.receipt.peek_unverified().unwrap().rows
    }

    /// Whether the number of people who meet a condition is shown.
    async fn shows(&self, condition: &str) -> bool {
        let sql = format!("SELECT count(*) AS n FROM heart WHERE {condition} HAVING count(*) IS NOT NULL");
        self.rows(&sql).await == 1
    }

    fn entries(&self, which: impl Fn(&EntryBody) -> bool) -> usize {
        let ledger = self.world.provider.node.ledger();
        let entries = ledger.range(0, ledger.size()).unwrap();
        entries.iter().filter(|stored| which(&stored.entry.body)).count()
    }
}

/// Applies a policy set with these settings, as a steward does.
async fn apply(provider: &InProcessNode, settings: Value) {
    let socket = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(socket.path().join("run")).unwrap();
    let mut stop = Shutdown::new();
    let stage = stop.stage("api", Duration::from_secs(1));
    serve(
        Api::new(provider.node.clone(), ImportSection::default()),
        socket.path(),
        &stage,
    )
    .unwrap();
    provider.steward().await;
    let login = json!({ "name": "stella", "password": "correct horse battery staple" });
    let answer: Value = Client::new(socket.path()).post("/v1/login", &login).await.unwrap();
    let token: SessionToken = answer["token"].as_str().unwrap().parse().unwrap();
    let steward = Client::new(socket.path()).with_token(Some(token.expose()));
    let shown: Value = steward.get("/v1/policy").await.unwrap();
    let sources = json!({ "files": shown["files"], "settings": settings });
    let checked: Value = steward.post("/v1/policy/check", &sources).await.unwrap();
    if shown["digest"] != checked["digest"] {
        let set = json!({ "sources": sources, "expect": checked["digest"] });
        let _: Value = steward.post("/v1/policy/apply", &set).await.unwrap();
    }
    stop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d1_difference_of_two_totals_is_withheld() {
    for protection in ["exact", "perturbed"] {
        let study = Study::under(json!({ "protection": protection })).await;
        assert!(study.shows("sex = 1").await, "{protection}");
        // All women but the target.
        assert!(!study.shows("sex = 1 AND chol = 100").await, "{protection}");
        // Colleagues of the attacker are one with it.
        let same = "SELECT count(*) AS n FROM heart WHERE chol = 100 AND sex = 1 HAVING count(*) IS NOT NULL";
        let answer = study.send_as("marvin", same).await.ok().unwrap();
        assert_eq!(answer.receipt.peek_unverified().unwrap().rows, 0, "{protection}");
        // What was shown is shown again.
        assert!(study.shows("sex = 1").await, "{protection}");
        study.world.assert_still_serving().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d2_no_condition_fails_on_a_value() {
    let study = Study::exact().await;
    let opened = |body: &EntryBody| matches!(body, EntryBody::AnswerReleased { rows, .. } if *rows > 0);
    for condition in [
        "1 / (chol - 1000000) > 0",
        "CAST(CAST(chol AS TEXT) AS INTEGER) = 100",
        "sqrt(chol - 100) >= 0",
        "CASE WHEN chol = 1000000 THEN 'x' ~ '(' ELSE true END",
        "DATE '2020-01-01' + CAST(chol AS INTEGER) > DATE '2020-01-01'",
        "substr('x', chol) = 'x'",
        "9223372036854775807 + chol > 0",
    ] {
        let refused = study
            .send(&format!("SELECT count(*) AS n FROM heart WHERE {condition}"))
            .await;
        let Err(refusal) = refused else {
            panic!("{condition} was answered")
        };
        assert!(
            matches!(refusal.code, RefusalCode::Invalid | RefusalCode::Denied),
            "{condition}: {refusal:?}"
        );
    }
    assert_eq!(study.entries(opened), 0, "nothing was computed");
    study.world.assert_still_serving().await;
}

/// Too few, none at all, and what follows from other answers: one byte for byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d3_zero_small_and_isolating_look_alike() {
    let study = Study::exact().await;
    assert!(study.shows("sex = 1").await);
    let mut answers = Vec::new();
    for condition in [TARGET, "sex = 0 AND sex = 1", "sex = 1 AND chol = 100"] {
        let sql = format!("SELECT count(*) AS n FROM heart WHERE {condition}");
        let answer = study
            .send(&sql)
            .await
            .unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        let receipt = answer.receipt.peek_unverified().unwrap();
        answers.push((answer.chunks.concat(), receipt.rows, receipt.bytes, receipt.answer));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "they differ");
    // A table has the rows of its levels, also those of no one.
    let women = study
        .rows("SELECT chol, count(*) AS n FROM heart WHERE sex = 1 GROUP BY chol")
        .await;
    let none = study
        .rows("SELECT chol, count(*) AS n FROM heart WHERE sex = 0 AND sex = 1 GROUP BY chol")
        .await;
    assert_eq!(women, none);
    study.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d4_sum_of_a_flag_is_its_cell() {
    let study = Study::exact().await;
    assert!(study.shows("sex = 1").await);
    let flag = "CASE WHEN chol <> 100 THEN 1 ELSE 0 END";
    for figure in [
        format!("sum({flag})"),
        format!("avg({flag})"),
        "count(*) - count(CASE WHEN chol = 100 THEN 1 END)".to_owned(),
        "count(*) FILTER (WHERE chol <> 100)".to_owned(),
    ] {
        let sql = format!("SELECT {figure} AS n FROM heart WHERE sex = 1 HAVING {figure} IS NOT NULL");
        // What cannot be counted is refused.
        let shown = study.send(&sql).await;
        let rows = shown.map_or(0, |answer| answer.receipt.peek_unverified().unwrap().rows);
        assert_eq!(rows, 0, "{figure}");
    }
    study.world.assert_still_serving().await;
}

/// The largest value is what a single person contributes, so it is clipped to what many have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d5_one_subject_does_not_own_a_sum() {
    let study = Study::exact().await;
    let shown = study
        .send("SELECT sum(chol) AS n FROM heart HAVING sum(chol) > 20000")
        .await;
    let rows = shown.map_or(0, |answer| answer.receipt.peek_unverified().unwrap().rows);
    assert_eq!(rows, 0);
    study.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_d7_small_cells_do_not_follow_from_margins() {
    let study = Study::exact().await;
    for table in ["sex", "chol"] {
        study
            .rows(&format!("SELECT {table}, count(*) AS n FROM heart GROUP BY {table}"))
            .await;
    }
    // With the margins, each of these names the target.
    for small in ["= 1", "= 29"] {
        let sql = format!("SELECT sex, chol, count(*) AS n FROM heart GROUP BY sex, chol HAVING count(*) {small}");
        assert_eq!(study.rows(&sql).await, 0, "{small}");
    }
    study.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_at_the_same_time_share_one_distinction() {
    // The number of all people is one, and known.
    let study = Study::under(json!({ "protection": "exact", "distinctions": 2 })).await;
    let texts = ["sex = 1", "chol = 100", "chol = 200"]
        .map(|condition| format!("SELECT count(*) AS n FROM heart WHERE {condition} HAVING count(*) IS NOT NULL"));
    let answered = futures::future::join_all(texts.iter().map(|sql| study.send(sql))).await;
    let rows = |answer: &Answer| answer.receipt.peek_unverified().unwrap().rows;
    let shown: u64 = answered.iter().flatten().map(rows).sum();
    assert_eq!(shown, 1, "one of them is the last");
    let refused: Vec<&Refusal> = answered.iter().filter_map(|answer| answer.as_ref().err()).collect();
    for refusal in refused {
        assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}");
    }
    study.world.assert_still_serving().await;
}

/// A member has all figures that there is noise for, and waits for a policy set with more of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_with_noise_are_not_renewed_by_a_policy_set() {
    let study = Study::under(json!({ "figures_with_noise": 1 })).await;
    assert!(study.shows("sex = 1").await);
    for figures in [1, 64] {
        apply(&study.world.provider, json!({ "figures_with_noise": figures })).await;
        let another = study.send("SELECT count(*) AS n FROM heart WHERE chol = 200").await;
        let Err(refusal) = another else {
            panic!("one more figure is shown under a set with {figures}")
        };
        assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}");
        assert!(
            refusal.reasons[0]
                .text
                .contains("the answers for which there is noise are used up"),
            "{refusal:?}"
        );
    }
    // What was shown is shown again.
    apply(&study.world.provider, json!({ "figures_with_noise": 1 })).await;
    assert!(study.shows("sex = 1").await);
    study.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_at_the_same_time_spend_the_last_loss_once() {
    let loss = json!({ "query": 10_000, "total": 15_000, "delta": 6 });
    let study = Study::under(json!({ "protection": "private", "loss": loss })).await;
    let texts = ["sex = 1", "sex = 0", "chol = 100"]
        .map(|condition| format!("SELECT count(*) AS n FROM heart WHERE {condition}"));
    let answered = futures::future::join_all(texts.iter().map(|sql| study.send(sql))).await;
    let is_spent = |refusal: &Refusal| {
        refusal.reasons[0]
            .text
            .contains("the budget for the loss of privacy is used up")
    };
    let spent = answered.iter().filter_map(|answer| answer.as_ref().err());
    assert_eq!(spent.filter(|refusal| is_spent(refusal)).count(), 2);
    let reserved = |body: &EntryBody| {
        matches!(
            body,
            EntryBody::BudgetReserved {
                micro_rho: 10_000,
                left: 5_000,
                ..
            }
        )
    };
    assert_eq!(study.entries(reserved), 1, "it is in the ledger once");
    study.world.assert_still_serving().await;
}
