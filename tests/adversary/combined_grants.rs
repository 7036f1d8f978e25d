//! What no grant may show, two grants of one member may not show together. The member follows the rules; it combines what it gets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use concordat_node::{NegotiationError, Restriction};
use concordat_protocol::grant::{Effective, GrantEvent};
use concordat_protocol::ids::{CollectionName, DatasetName, GrantId, NegotiationId};
use concordat_protocol::negotiation::{State, StateName};
use concordat_protocol::release::ReleaseChange;
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::{Columns, Datasets, Rows, Scope, Transform};
use concordat_storage::catalog::ImportRequest;
use concordat_storage::ingest::{Source, SubjectRule, TableOptions};
use concordat_tests::{Import, Outcome, Person, World as Consortium, make_change, tester};
use serde_json::Value;

use super::malicious_peer::{now, soon};
use super::negotiation_fixture::{await_grant, change};
use super::notices::effective_state;
use super::well_behaved::{InProcessNode, World, column, why, wide};

const RULE: &str = "one-age-across-grants";
const PEOPLE: u32 = 400;
const CLASSES: [(&str, ColumnClass); 5] = [
    ("record", ColumnClass::DirectIdentifier),
    ("age", ColumnClass::QuasiIdentifier),
    ("birth_date", ColumnClass::QuasiIdentifier),
    ("index_day", ColumnClass::QuasiIdentifier),
    ("sex", ColumnClass::Ordinary),
];
/// A purpose of its own for the second grant, so that a query states the grant that it is under.
const DISEASE: &str = "disease:MONDO:0005267";

/// Of each person the age, the date of birth, and a date that no name shows to be that of the birth.
fn people() -> String {
    let mut rows = "record,age,birth_date,index_day,sex\n".to_owned();
    for n in 0..PEOPLE {
        let year = 1940 + n % 60;
        writeln!(rows, "P{n},{},{year}-06-15,{year}-06-15,{}", 2026 - year, n % 2).unwrap();
    }
    rows
}

fn consortium() -> Consortium {
    let world = Consortium::consortium(2);
    let file = world.file("heart.csv", people());
    let classes = CLASSES.map(|(column, class)| format!("{column}={class}"));
    world.share(
        "cleveland",
        Import {
            dataset: "heart",
            from: &file,
            args: &["--subject-column", "record"],
            classes: &classes.each_ref().map(String::as_str),
        },
    );
    world
}

fn request(world: &Consortium, args: &[&str]) -> String {
    world.request("budapest", "cleveland", "heart", args)
}

fn offer(world: &Consortium, id: &str) -> Value {
    world
        .node("cleveland")
        .json_as(Person::Steward, &["grant", "offer", id])
}

fn columns(offer: &Value) -> Vec<&str> {
    let columns = offer["columns"].as_array().unwrap().iter();
    columns.map(|column| column["name"].as_str().unwrap()).collect()
}

fn query(world: &Consortium, sql: &str, purpose: &str) -> Outcome {
    let consumer = world.node("budapest");
    consumer.run_as(
        Person::Researcher,
        &["--format", "csv", "query", "--purpose", purpose, sql],
    )
}

fn relinquish(world: &Consortium, grant: &str) {
    let consumer = world.node("budapest");
    let command = ["grant", "relinquish", grant, "--reason", "done"];
    consumer.run_as(Person::Researcher, &command).ok();
    world.await_grant("cleveland", grant, "RELINQUISHED");
}

#[test]
fn grant_beside_one_with_ages_shows_no_years_of_birth() {
    let world = consortium();
    let provider = world.node("cleveland");
    let ages = world.grant("budapest", "cleveland", "heart", &["--columns", "age,sex"]);
    let births = request(&world, &["--columns", "birth_date,sex", "--purpose", DISEASE]);
    let offered = offer(&world, &births);
    assert_eq!(columns(&offered), ["sex"], "{offered}");
    let narrowings = offered["narrowings"].as_array().unwrap();
    let narrowing = narrowings.iter().find(|narrowing| narrowing["rule"] == RULE);
    let reason = narrowing.and_then(|narrowing| narrowing["reason"].as_str()).unwrap();
    assert!(reason.contains(&ages) && reason.contains("`age`"), "{reason}");
    world.await_grant("budapest", &births, "OFFERED");
    let accept = ["grant", "accept", births.as_str()];
    world.node("budapest").run_as(Person::Researcher, &accept).ok();
    world.await_grant("budapest", &births, "ACTIVE");
    query(&world, "SELECT sex FROM cleveland.heart", DISEASE).ok();
    let refused = query(&world, "SELECT birth_date FROM cleveland.heart", DISEASE);
    assert_ne!(refused.code, Some(0), "{}", refused.report());

    // Neither does one whose rows are selected by the year of birth.
    let condition = ["--columns", "sex", "--where", "birth_date >= '1970-01-01'"];
    let selecting = request(&world, &condition);
    let problem = provider.refused_as(Person::Steward, 3, &["grant", "offer", &selecting]);
    let reason = problem["reasons"][0].as_str().unwrap();
    assert!(
        reason.contains("`birth_date` and `age` together") && reason.contains(&ages),
        "{problem}"
    );

    // Nor one that is requested while the first is suspended. When it is given up, the other one is offered.
    let suspend = ["grant", "suspend", ages.as_str(), "--reason", "a pause"];
    provider.run_as(Person::Steward, &suspend).ok();
    let again = request(&world, &["--columns", "birth_date"]);
    let problem = provider.refused_as(Person::Steward, 3, &["grant", "offer", &again]);
    let reason = problem["reasons"][0].as_str().unwrap();
    assert!(
        reason.contains("`birth_date` and `age` together") && reason.contains(&ages),
        "{problem}"
    );
    relinquish(&world, &ages);
    assert_eq!(columns(&offer(&world, &again)), ["birth_date"]);
}

#[test]
fn grants_that_were_agreed_before_the_rule_release_one_of_the_two() {
    let world = consortium();
    let provider = world.node("cleveland");
    let ages = world.grant("budapest", "cleveland", "heart", &["--columns", "age,sex"]);
    let days = world.grant(
        "budapest",
        "cleveland",
        "heart",
        &["--columns", "index_day,sex", "--purpose", DISEASE],
    );
    let age = "SELECT age FROM cleveland.heart";
    let day = "SELECT index_day FROM cleveland.heart";
    query(&world, age, "health-research").ok();
    query(&world, day, DISEASE).ok();
    // From here on the two are in conflict, as two that were agreed by an older version.
    let declare = ["dataset", "limits", "heart", "--birth-date", "index_day"];
    provider.run_as(Person::Steward, &declare).ok();
    for sql in [day, "SELECT sex FROM cleveland.heart"] {
        let refused = query(&world, sql, DISEASE).exits(3);
        assert_eq!(refused.stdout, "", "{}", refused.report());
        assert!(refused.stderr.contains(&ages), "{}", refused.report());
    }
    let first = query(&world, age, "health-research").ok().table();
    assert_eq!(first.rows.len(), usize::try_from(PEOPLE).unwrap());
    relinquish(&world, &ages);
    query(&world, age, "health-research").exits(3);
    query(&world, day, DISEASE).ok();
    world.await_grant("cleveland", &days, "ACTIVE");
}

/// As [`consortium`], within the test.
async fn world() -> World {
    let world = World::new().await;
    let node = world.provider.node.clone();
    let work = move || {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), people()).unwrap();
        let options = TableOptions {
            subject: SubjectRule::Column("record".to_owned()),
            ..TableOptions::default()
        };
        let request = ImportRequest {
            options,
            ..ImportRequest::new(people_name(), Source::at_path(file.path()))
        };
        let catalog = node.storage().catalog();
        let key = node.identity().institution_key();
        catalog.import(&request, &key, now(), &mut |_| ()).unwrap();
        let classes = CLASSES.map(|(name, class)| (column(name), class)).into_iter().collect();
        let datasets = catalog.datasets();
        make_change(&node, datasets.plan_classes(&people_name(), &classes));
        make_change(&node, datasets.plan_publication(&CollectionName::from(&people_name())));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    world
}

fn people_name() -> DatasetName {
    DatasetName::new("people").unwrap()
}

/// A request of the member that has arrived at the provider.
async fn arrived(world: &World, columns: &[&str]) -> NegotiationId {
    let scope = Scope {
        collection: "cleveland.people".parse().unwrap(),
        datasets: Datasets::one(
            people_name(),
            Columns::new(columns.iter().map(|name| (column(name), Transform::Clear))).unwrap(),
            Rows::all(),
        ),
        ..wide(&world.provider)
    };
    let member = world.member.node.negotiations();
    let id = member.request(scope, why(), &tester()).await.unwrap().id;
    let arriving = async {
        while world.provider.node.negotiations().show(&id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(arriving).await;
    id
}

/// The columns that the provider offers; none if it refuses.
async fn offered_columns(provider: &InProcessNode, id: NegotiationId) -> BTreeSet<String> {
    let by = provider.steward().await;
    let negotiations = provider.node.negotiations().clone();
    let offering = async move { negotiations.offer(&id, &Restriction::default(), &by).await };
    match tokio::spawn(offering).await.unwrap() {
        Ok(view) => {
            let State::Offered(offered) = view.detail else {
                panic!("{:?}", view.detail)
            };
            let (_, dataset) = offered.offer.only().unwrap();
            dataset.columns.names().map(ToString::to_string).collect()
        }
        Err(NegotiationError::Denied { .. }) => BTreeSet::new(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_made_at_the_same_time_show_one_of_the_two() {
    let world = world().await;
    let provider = &world.provider;
    provider.steward().await;
    for round in 0..5 {
        let ages = arrived(&world, &["age", "sex"]).await;
        let births = arrived(&world, &["birth_date", "sex"]).await;
        let (one, other) = tokio::join!(offered_columns(provider, ages), offered_columns(provider, births));
        let both: BTreeSet<&str> = one.union(&other).map(String::as_str).collect();
        assert!(both.contains("sex") && both.len() == 2, "round {round}: {both:?}");
        for id in [ages, births] {
            let reason = concordat_protocol::text::Reason::new("a test").unwrap();
            world
                .member
                .node
                .negotiations()
                .reject(&id, reason, &tester())
                .await
                .unwrap();
        }
    }
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_came_into_conflict_become_one_grant() {
    let world = world().await;
    let provider = &world.provider;
    let ages = arrived(&world, &["age"]).await;
    let days = arrived(&world, &["index_day"]).await;
    assert_eq!(
        offered_columns(provider, ages).await,
        BTreeSet::from(["age".to_owned()])
    );
    assert_eq!(
        offered_columns(provider, days).await,
        BTreeSet::from(["index_day".to_owned()])
    );
    let node = provider.node.clone();
    let declare = move || {
        let births = ReleaseChange {
            births: [column("index_day")].into(),
            ..ReleaseChange::default()
        };
        let datasets = node.storage().catalog().datasets();
        make_change(&node, datasets.plan_release(&people_name(), &births));
        node.epoch().raise();
    };
    tokio::task::spawn_blocking(declare).await.unwrap();

    // The second one is accepted first, and waits for the first one to end.
    let member = world.member.node.negotiations();
    member.accept(&days, &tester()).await.unwrap();
    let stopped = soon(stopped(provider, &days)).await;
    assert!(stopped.contains(&ages.to_string()), "{stopped}");
    member.accept(&ages, &tester()).await.unwrap();
    await_grant(&world.member, &ages).await;
    let days_state = provider.node.negotiations().show(&days).await.unwrap().state;
    assert_eq!(days_state, StateName::Accepted);
    let by = provider.steward().await;
    let whole = Restriction::default();
    let confirm = || provider.node.negotiations().offer(&days, &whole, &by);
    assert!(matches!(confirm().await, Err(NegotiationError::Denied { .. })));
    change(&world.member, &GrantId::from(ages), GrantEvent::Relinquish).await;
    assert_eq!(
        effective_state(provider, &GrantId::from(ages)).await,
        Effective::Relinquished
    );
    confirm().await.unwrap();
    await_grant(&world.member, &days).await;
    world.assert_still_serving().await;
}

/// Why the provider does not sign.
async fn stopped(provider: &InProcessNode, id: &NegotiationId) -> String {
    loop {
        let shown = provider.node.negotiations().show(id).await.unwrap();
        assert!(
            matches!(shown.state, StateName::Offered | StateName::Accepted),
            "{}",
            shown.state
        );
        if let Some(stopped) = shown.stopped {
            return stopped.to_string();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
