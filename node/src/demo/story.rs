//! The story itself, chapter by chapter. Every line that looks like a command is one, typed by the person it names.

use crate::json::Field as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::cohorts::Cohorts;
use super::house::{House, Profile};
use super::tell::Teller;

/// Number of chapters.
pub(super) const CHAPTERS: u64 = 8;
/// The password of everybody in the demonstration: the machine is the reader's own and the patients are invented.
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// How long the slow reader waits before Budapest ends the grant.
const FIRST_ROWS: Duration = Duration::from_secs(20);

const CLEVELAND: Profile = Profile {
    id: "cleveland",
    name: "Cleveland Heart Hospital",
    jurisdiction: "US",
    steward: "susan",
    researcher: "ray",
};
const BUDAPEST: Profile = Profile {
    id: "budapest",
    name: "Institute of Cardiology, Budapest",
    jurisdiction: "HU",
    steward: "istvan",
    researcher: "reka",
};
const ZURICH: Profile = Profile {
    id: "zurich",
    name: "University Hospital Zurich",
    jurisdiction: "CH",
    steward: "sophie",
    researcher: "regula",
};

/// The people of the demonstration and what they work with.
#[derive(Debug)]
pub(super) struct Story<'a> {
    tell: &'a Teller,
    cohorts: &'a Cohorts,
}

/// The three institutions.
#[derive(Debug)]
pub(super) struct Houses {
    pub(super) cleveland: House,
    pub(super) budapest: House,
    pub(super) zurich: House,
}

impl Houses {
    pub(super) fn all(&self) -> [&House; 3] {
        [&self.cleveland, &self.budapest, &self.zurich]
    }
}

impl<'a> Story<'a> {
    pub(super) fn new(tell: &'a Teller, cohorts: &'a Cohorts) -> Self {
        Self { tell, cohorts }
    }

    /// Chapter 1: three daemons, each with keys and people of its own.
    pub(super) async fn settle(&self, place: &Path) -> Result<Houses> {
        self.tell.chapter("Three hospitals in three countries");
        let (cleveland, budapest, zurich) = tokio::try_join!(
            House::found(CLEVELAND, place.join(CLEVELAND.id), PASSWORD),
            House::found(BUDAPEST, place.join(BUDAPEST.id), PASSWORD),
            House::found(ZURICH, place.join(ZURICH.id), PASSWORD),
        )?;
        let houses = Houses {
            cleveland,
            budapest,
            zurich,
        };
        for house in houses.all() {
            let Profile {
                name,
                jurisdiction,
                steward,
                researcher,
                ..
            } = house.profile;
            house.login("administrator", PASSWORD).await?;
            house.hire(steward, "steward", PASSWORD).await?;
            house.hire(researcher, "researcher", PASSWORD).await?;
            self.tell.good(&format!(
                "{name} ({jurisdiction}): steward {steward}, researcher {researcher}"
            ));
        }
        self.tell
            .say("Each runs its own node with its own keys. There is no server in the middle.");
        Ok(houses)
    }

    /// Chapter 2: a consortium by signed files.
    pub(super) async fn unite(&self, houses: &Houses, place: &Path) -> Result<()> {
        self.tell.chapter("They found a consortium");
        let founder = &houses.cleveland;
        self.typed(
            founder,
            &["consortium", "found", "--name", "European-American Heart Study"],
        )
        .await?;
        for house in [&houses.budapest, &houses.zurich] {
            let application = house.run(&["consortium", "enrol"], None).await?;
            let file = place.join(format!("{}.enrolment", house.profile.id));
            std::fs::write(&file, application).context("the application cannot be written")?;
            self.typed(founder, &["consortium", "admit", &file.to_string_lossy()])
                .await?;
        }
        let roster = place.join("roster.txt");
        std::fs::write(
            &roster,
            founder.run(&["consortium", "roster", "show", "--armour"], None).await?,
        )?;
        for house in [&houses.budapest, &houses.zurich] {
            self.typed(house, &["consortium", "join", &roster.to_string_lossy()])
                .await?;
        }
        self.tell
            .say("The roster is signed and numbered; whoever is not on it is not even answered.");
        Ok(())
    }

    /// Chapter 3: patients come in, are classified and published.
    pub(super) async fn import(&self, houses: &Houses) -> Result<()> {
        self.tell
            .chapter("Each steward imports patients and says what is sensitive");
        for house in houses.all() {
            house.login(house.profile.steward, PASSWORD).await?;
            let cohort = self.cohorts.of(house.profile.id)?;
            let file = cohort.path.to_string_lossy();
            let mut import = vec!["dataset", "import", "heart", "--from", &file];
            if cohort.generated {
                import.extend(["--subject-column", "record_number"]);
            } else {
                import.push("--each-row-is-a-subject");
            }
            let imported = house.json(&import).await?;
            let classes: Vec<&str> = cohort.classes();
            house
                .run(&[&["dataset", "classify", "heart"][..], &classes].concat(), None)
                .await?;
            house
                .run(&["dataset", "limits", "heart", "--sensitive", "records"], None)
                .await?;
            house.run(&["dataset", "publish", "heart"], None).await?;
            let rows = imported.at("rows").as_u64().unwrap_or(0);
            let origin = if cohort.generated {
                "generated"
            } else {
                "from the heart study's file"
            };
            self.tell.good(&format!(
                "{}: {rows} patients, {origin}, sealed on disk, published",
                house.profile.id
            ));
        }
        self.tell.say(
            "Names and record numbers are direct identifiers, age and postcode quasi-identifiers, findings sensitive.",
        );
        Ok(())
    }

    /// Chapter 4: a wide request, a narrower offer, an agreement.
    pub(super) async fn negotiate(&self, houses: &Houses) -> Result<String> {
        self.tell
            .chapter("A researcher in Zurich asks for everything, and is offered less");
        houses.zurich.login(ZURICH.researcher, PASSWORD).await?;
        let mut budapest_grant = String::new();
        for provider in [&houses.cleveland, &houses.budapest] {
            let grant = self.ask(houses, provider).await?;
            if provider.profile.id == BUDAPEST.id {
                budapest_grant = grant;
            }
        }
        Ok(budapest_grant)
    }

    async fn ask(&self, houses: &Houses, provider: &House) -> Result<String> {
        let target = format!("{}/heart", provider.profile.id);
        let asked = [
            "grant",
            "request",
            &target,
            "--tier",
            "records",
            "--purpose",
            "health-research",
            "--until",
            "2099-01-01",
        ];
        let until = self.cohorts.until();
        let asked: Vec<&str> = asked
            .iter()
            .map(|arg| if *arg == "2099-01-01" { until } else { arg })
            .collect();
        self.tell
            .command(ZURICH.researcher, &format!("concordat {}", asked.join(" ")));
        let request = houses.zurich.json(&asked).await?;
        let id = text(&request, "id")?;
        provider.run(&["grant", "offer", &id], None).await?;
        let offered = self.awaited(&houses.zurich, &id, "OFFERED").await?;
        for narrowing in offered.at("narrowings").as_array().into_iter().flatten() {
            let (asked, given, why) = (
                &narrowing.at("asked"),
                &narrowing.at("offered"),
                &narrowing.at("reason"),
            );
            self.tell
                .refused(&format!("{} -> {}: {}", plain(asked), plain(given), plain(why)));
        }
        self.tell
            .command(ZURICH.researcher, &format!("concordat grant accept {}", short(&id)));
        houses.zurich.run(&["grant", "accept", &id], None).await?;
        let grant = self.awaited(&houses.zurich, &id, "ACTIVE").await?;
        let signers = grant.at("signed_by").as_array().map_or(0, Vec::len);
        ensure!(signers == 2, "a grant must carry two signatures");
        self.tell.good(&format!(
            "{} and Zurich have both signed grant {}",
            provider.profile.id,
            short(&id)
        ));
        Ok(id)
    }

    /// Chapter 5: one question to all three.
    pub(super) async fn query(&self, houses: &Houses) -> Result<()> {
        self.tell.chapter("One question to three hospitals");
        let sql = "SELECT sex, count(*) AS patients, avg(chol) AS cholesterol FROM consortium.heart GROUP BY sex ORDER BY sex";
        self.tell
            .command(ZURICH.researcher, &format!("concordat query \"{sql}\""));
        let answer = houses.zurich.run(&["query", sql], None).await?;
        self.tell.output(&answer);
        self.tell.say("Rows crossed the borders encrypted, without names, with ages in bands; each answer left a receipt signed by both sides.");
        Ok(())
    }

    /// Chapter 6: refusals say why and what would help.
    pub(super) async fn refuse(&self, houses: &Houses) -> Result<()> {
        self.tell.chapter("Not everything is answered");
        let attempts: [(&str, Vec<&str>); 3] = [
            (
                "a column that was not granted",
                vec!["query", "SELECT postcode FROM budapest.heart"],
            ),
            (
                "another purpose",
                vec!["query", "SELECT sex FROM budapest.heart", "--purpose", "clinical-care"],
            ),
            (
                "a second statement smuggled in",
                vec!["query", "SELECT sex FROM budapest.heart; DROP TABLE heart"],
            ),
        ];
        for (what, args) in attempts {
            self.tell.say(&format!("She tries {what}:"));
            self.tell
                .command(ZURICH.researcher, &format!("concordat {}", quoted(&args)));
            let error = houses.zurich.refusal(&args).await?;
            self.tell.refused(&explained(&error));
        }
        Ok(())
    }

    /// Chapter 7: a revocation cuts a running answer.
    pub(super) async fn revoke(&self, houses: &Houses, grant: &str) -> Result<()> {
        self.tell.chapter("Budapest ends the grant in the middle of an answer");
        let sql = "SELECT * FROM budapest.heart";
        self.tell
            .command(ZURICH.researcher, &format!("concordat query \"{sql}\" | slow-reader"));
        let mut reader = super::reader::SlowReader::start(&houses.zurich, sql)?;
        let before = tokio::time::timeout(FIRST_ROWS, reader.first_rows())
            .await
            .context("no rows came")??;
        self.tell.command(
            BUDAPEST.steward,
            &format!("concordat grant revoke {} --reason \"consent withdrawn\"", short(grant)),
        );
        let revoked = houses
            .budapest
            .json(&["grant", "revoke", grant, "--reason", "consent withdrawn"])
            .await?;
        ensure!(revoked.at("state") == "REVOKED", "the grant should be revoked");
        let end = reader.finish().await?;
        match end.error {
            Some(error) => self
                .tell
                .refused(&format!("the answer broke off after {} rows: {error}", end.rows)),
            None if self.cohorts.of(BUDAPEST.id)?.generated => bail!("the answer was not cut: {} rows came", end.rows),
            None => self.tell.say(&format!(
                "All {} rows had left before: the file is small.",
                before.max(end.rows)
            )),
        }
        let error = houses
            .zurich
            .refusal(&["query", "SELECT count(*) FROM budapest.heart"])
            .await?;
        self.tell.refused(&explained(&error));
        Ok(())
    }

    /// Chapter 8: the ledgers.
    pub(super) async fn prove(&self, houses: &Houses) -> Result<()> {
        self.tell.chapter("What happened can be proved");
        for house in houses.all() {
            house.login("administrator", PASSWORD).await?;
            let report = house.json(&["audit", "verify"]).await?;
            ensure!(
                report.at("ok") == true,
                "the ledger of {} does not verify: {report}",
                house.profile.id
            );
            let (entries, root) = (&report.at("entries"), plain(report.at("root")));
            self.tell.good(&format!(
                "{}: {entries} ledger entries, chained and complete, root {}",
                house.profile.id,
                short(&root)
            ));
        }
        Ok(())
    }

    async fn typed(&self, house: &House, args: &[&str]) -> Result<()> {
        let shown: Vec<String> = args.iter().map(|arg| file_name(arg)).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        self.tell
            .command(house.profile.id, &format!("concordat {}", quoted(&shown)));
        house.run(args, None).await.map(|_| ())
    }

    /// Waits until the negotiation or grant `id` is in `state`, as the other side's messages arrive.
    async fn awaited(&self, house: &House, id: &str, state: &str) -> Result<Value> {
        for _ in 0..200 {
            let shown = house.json(&["grant", "show", id]).await?;
            if shown.at("state") == state {
                return Ok(shown);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("grant {id} did not reach the state {state}")
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("`{key}` is missing in {value}"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

fn file_name(arg: &str) -> String {
    let path = Path::new(arg);
    match path.file_name() {
        Some(name) if path.is_absolute() => name.to_string_lossy().into_owned(),
        _ => arg.to_owned(),
    }
}

fn quoted(args: &[&str]) -> String {
    let quote = |arg: &&str| {
        if arg.contains(' ') {
            format!("\"{arg}\"")
        } else {
            (*arg).to_owned()
        }
    };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// What an error object says, as one sentence with its reasons and the way out.
fn explained(error: &Value) -> String {
    let mut parts = vec![plain(error.at("title"))];
    if let Some(detail) = error.at("detail").as_str() {
        parts.push(detail.to_owned());
    }
    for reason in error.at("reasons").as_array().into_iter().flatten() {
        parts.push(reason.as_str().map_or_else(|| plain(reason.at("text")), str::to_owned));
    }
    if let Some(help) = error.at("help").as_str() {
        parts.push(format!("what to do: {help}"));
    }
    parts.retain(|part| !part.is_empty() && part != "null");
    parts.dedup();
    parts.join("; ")
}
