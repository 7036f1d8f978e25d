//! The steps of the demonstration, chapter by chapter. Every command line that is shown is really run, by the person it names.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use concordat_documents::audit::AuditReport;
use concordat_documents::grant::{Grant, GrantState};
use serde_json::Value;

use crate::answer::field;
use crate::cohorts::Cohorts;
use crate::narrator::Narrator;
use crate::node::{DemoNode, Profile};
use crate::reader::SlowReader;

/// Number of chapters.
pub(crate) const CHAPTERS: u64 = 8;
/// The password of every account in the demonstration: it runs on the reader's own machine and the patients are invented.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// How long the slow reader may wait for its first rows.
const FIRST_ROWS_TIMEOUT: Duration = Duration::from_secs(20);

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
pub(crate) struct Story<'a> {
    narrator: &'a Narrator,
    cohorts: &'a Cohorts,
}

/// The three institutions.
#[derive(Debug)]
pub(crate) struct DemoNodes {
    pub(crate) cleveland: DemoNode,
    pub(crate) budapest: DemoNode,
    pub(crate) zurich: DemoNode,
}

impl DemoNodes {
    pub(crate) fn all(&self) -> [&DemoNode; 3] {
        [&self.cleveland, &self.budapest, &self.zurich]
    }
}

impl<'a> Story<'a> {
    pub(crate) fn new(narrator: &'a Narrator, cohorts: &'a Cohorts) -> Self {
        Self { narrator, cohorts }
    }

    /// Chapter 1: three daemons, each with keys and people of its own.
    pub(crate) async fn init_nodes(&self, dir: &Path) -> Result<DemoNodes> {
        self.narrator.chapter("Three hospitals in three countries");
        let (cleveland, budapest, zurich) = tokio::try_join!(
            DemoNode::init(CLEVELAND, dir.join(CLEVELAND.id), PASSWORD),
            DemoNode::init(BUDAPEST, dir.join(BUDAPEST.id), PASSWORD),
            DemoNode::init(ZURICH, dir.join(ZURICH.id), PASSWORD),
        )?;
        let nodes = DemoNodes {
            cleveland,
            budapest,
            zurich,
        };
        for node in nodes.all() {
            let Profile {
                name,
                jurisdiction,
                steward,
                researcher,
                ..
            } = node.profile;
            node.login("administrator", PASSWORD).await?;
            node.create_user(steward, "steward", PASSWORD).await?;
            node.login("administrator", PASSWORD).await?;
            node.create_user(researcher, "researcher", PASSWORD).await?;
            node.login("administrator", PASSWORD).await?;
            self.narrator.good(&format!(
                "{name} ({jurisdiction}): steward {steward}, researcher {researcher}"
            ));
        }
        self.narrator
            .narrate("Each runs its own node with its own keys. There is no server in the middle.");
        Ok(nodes)
    }

    /// Chapter 2: a consortium by signed files.
    pub(crate) async fn form_consortium(&self, nodes: &DemoNodes, dir: &Path) -> Result<()> {
        self.narrator.chapter("They found a consortium");
        let founder = &nodes.cleveland;
        self.run_command(
            founder,
            &["consortium", "found", "--name", "European-American Heart Study"],
        )
        .await?;
        for node in [&nodes.budapest, &nodes.zurich] {
            let application = node.run(&["consortium", "enrol"], None).await?;
            let file = dir.join(format!("{}.enrollment", node.profile.id));
            std::fs::write(&file, application).context("the application cannot be written")?;
            self.run_command(founder, &["consortium", "admit", &file.to_string_lossy()])
                .await?;
        }
        let roster = dir.join("roster.txt");
        std::fs::write(
            &roster,
            founder.run(&["consortium", "roster", "show", "--armor"], None).await?,
        )?;
        for node in [&nodes.budapest, &nodes.zurich] {
            self.run_command(node, &["consortium", "join", &roster.to_string_lossy()])
                .await?;
        }
        self.narrator
            .narrate("The roster is signed and numbered; a node that is not on it gets no answer at all.");
        Ok(())
    }

    /// Chapter 3: patients come in, are classified and published.
    pub(crate) async fn import(&self, nodes: &DemoNodes) -> Result<()> {
        self.narrator
            .chapter("Each steward imports patients and classifies the columns");
        for node in nodes.all() {
            node.login(node.profile.steward, PASSWORD).await?;
            let cohort = self.cohorts.of(node.profile.id)?;
            let file = cohort.path.to_string_lossy();
            let mut import = vec!["dataset", "import", "heart", "--from", &file];
            if cohort.generated {
                import.extend(["--subject-column", "record_number"]);
            } else {
                import.push("--each-row-is-a-subject");
            }
            let imported: Value = node.json(&import).await?;
            let classes: Vec<&str> = cohort.classes();
            node.run(&[&["dataset", "classify", "heart"][..], &classes].concat(), None)
                .await?;
            node.run(&["dataset", "limits", "heart", "--sensitive", "records"], None)
                .await?;
            node.run(&["dataset", "publish", "heart"], None).await?;
            let rows = field(&imported, "rows").as_u64().unwrap_or(0);
            let origin = if cohort.generated {
                "generated"
            } else {
                "from the heart study's file"
            };
            self.narrator.good(&format!(
                "{}: {rows} patients, {origin}, encrypted on disk, published",
                node.profile.id
            ));
        }
        self.narrator.narrate(
            "Names and record numbers are direct identifiers, age and postcode quasi-identifiers, findings sensitive.",
        );
        Ok(())
    }

    /// Chapter 4: a wide request, a narrower offer, an agreement.
    pub(crate) async fn negotiate(&self, nodes: &DemoNodes) -> Result<String> {
        self.narrator
            .chapter("A researcher in Zurich requests everything, and is offered narrower terms");
        nodes.zurich.login(ZURICH.researcher, PASSWORD).await?;
        let mut budapest_grant = String::new();
        for provider in [&nodes.cleveland, &nodes.budapest] {
            let grant = self.request_grant(nodes, provider).await?;
            if provider.profile.id == BUDAPEST.id {
                budapest_grant = grant;
            }
        }
        Ok(budapest_grant)
    }

    async fn request_grant(&self, nodes: &DemoNodes, provider: &DemoNode) -> Result<String> {
        let target = format!("{}/heart", provider.profile.id);
        let args = [
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
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == "2099-01-01" { until } else { arg })
            .collect();
        self.narrator
            .command(ZURICH.researcher, &format!("concordat {}", args.join(" ")));
        let request: Grant = nodes.zurich.json(&args).await?;
        let id = request.id.to_string();
        provider.run(&["grant", "offer", &id], None).await?;
        let offered = self.wait_for_state(&nodes.zurich, &id, GrantState::Offered).await?;
        for narrowing in &offered.narrowings {
            self.narrator.refused(&format!(
                "{} -> {}: {}",
                narrowing.requested, narrowing.offered, narrowing.reason
            ));
        }
        self.narrator
            .command(ZURICH.researcher, &format!("concordat grant accept {}", short(&id)));
        nodes.zurich.run(&["grant", "accept", &id], None).await?;
        let grant = self.wait_for_state(&nodes.zurich, &id, GrantState::Active).await?;
        ensure!(grant.signed_by.len() == 2, "a grant must carry two signatures");
        self.narrator.good(&format!(
            "{} and Zurich have both signed grant {}",
            provider.profile.id,
            short(&id)
        ));
        Ok(id)
    }

    /// Chapter 5: one query to all three.
    pub(crate) async fn query(&self, nodes: &DemoNodes) -> Result<()> {
        self.narrator.chapter("One query to three hospitals");
        let sql = "SELECT sex, count(*) AS patients, avg(chol) AS cholesterol FROM consortium.heart GROUP BY sex ORDER BY sex";
        self.narrator
            .command(ZURICH.researcher, &format!("concordat query \"{sql}\""));
        let answer = nodes.zurich.run(&["query", sql], None).await?;
        self.narrator.output(&answer);
        self.narrator.narrate("Rows crossed the borders encrypted, without names, with ages in bands; each answer left a receipt signed by both sides.");
        Ok(())
    }

    /// Chapter 6: refusals explain why and what would help.
    pub(crate) async fn refuse(&self, nodes: &DemoNodes) -> Result<()> {
        self.narrator.chapter("Not everything is answered");
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
                "to smuggle in a second statement",
                vec!["query", "SELECT sex FROM budapest.heart; DROP TABLE heart"],
            ),
        ];
        for (what, args) in attempts {
            self.narrator.narrate(&format!("She tries {what}:"));
            self.narrator
                .command(ZURICH.researcher, &format!("concordat {}", quoted(&args)));
            let error = nodes.zurich.refusal(&args).await?;
            self.narrator.refused(&error.to_string());
        }
        Ok(())
    }

    /// Chapter 7: a revocation interrupts a running answer.
    pub(crate) async fn revoke(&self, nodes: &DemoNodes, grant: &str) -> Result<()> {
        self.narrator
            .chapter("Budapest ends the grant in the middle of an answer");
        let sql = "SELECT * FROM budapest.heart";
        self.narrator
            .command(ZURICH.researcher, &format!("concordat query \"{sql}\" | slow-reader"));
        let mut reader = SlowReader::start(&nodes.zurich, sql)?;
        let before = tokio::time::timeout(FIRST_ROWS_TIMEOUT, reader.first_rows())
            .await
            .context("no rows arrived")??;
        self.narrator.command(
            BUDAPEST.steward,
            &format!("concordat grant revoke {} --reason \"consent withdrawn\"", short(grant)),
        );
        let revoked: Grant = nodes
            .budapest
            .json(&["grant", "revoke", grant, "--reason", "consent withdrawn"])
            .await?;
        ensure!(revoked.state == GrantState::Revoked, "the grant should be revoked");
        let end = reader.finish().await?;
        match end.error {
            Some(error) => self
                .narrator
                .refused(&format!("the answer was interrupted after {} rows: {error}", end.rows)),
            None if self.cohorts.of(BUDAPEST.id)?.generated => {
                bail!("the answer was not interrupted: {} rows arrived", end.rows)
            }
            None => self.narrator.narrate(&format!(
                "All {} rows had already been sent: the file is small.",
                before.max(end.rows)
            )),
        }
        let error = nodes
            .zurich
            .refusal(&["query", "SELECT count(*) FROM budapest.heart"])
            .await?;
        self.narrator.refused(&error.to_string());
        Ok(())
    }

    /// Chapter 8: the ledgers.
    pub(crate) async fn prove(&self, nodes: &DemoNodes) -> Result<()> {
        self.narrator.chapter("The history can be proved");
        for node in nodes.all() {
            node.login("administrator", PASSWORD).await?;
            let report: AuditReport = node.json(&["audit", "verify"]).await?;
            ensure!(
                report.ok,
                "the ledger of {} does not verify: {report:?}",
                node.profile.id
            );
            self.narrator.good(&format!(
                "{}: {} ledger entries, chained and complete, root {}",
                node.profile.id,
                report.entries,
                short(&report.root.to_string())
            ));
        }
        Ok(())
    }

    async fn run_command(&self, node: &DemoNode, args: &[&str]) -> Result<()> {
        let shown: Vec<String> = args.iter().map(|arg| file_name(arg)).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        self.narrator
            .command(node.profile.id, &format!("concordat {}", quoted(&shown)));
        node.run(args, None).await.map(|_| ())
    }

    /// Waits until the negotiation or grant `id` is in `state`, as the other side's messages arrive.
    async fn wait_for_state(&self, node: &DemoNode, id: &str, state: GrantState) -> Result<Grant> {
        for _ in 0..200 {
            let shown: Grant = node.json(&["grant", "show", id]).await?;
            if shown.state == state {
                return Ok(shown);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("grant {id} did not reach the state {state}")
    }
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
