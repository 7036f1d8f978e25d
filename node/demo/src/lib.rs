//! Three institutions on one machine, start to finish.
//!
//! The demonstration takes no shortcuts: it starts three daemons of this program in three data directories and runs the
//! commands that people would type. The daemons communicate over real sockets and store real encrypted files.
//!
//! 1. The patients of each institution are generated ([`cohort`]), or read from the files of the heart study (`cohorts`).
//! 2. Each institution is a data directory, a daemon and the commands of its people (`node`).
//! 3. The chapters (`story`) run these commands, read what they print (`answer`, `refusal`, `reader`), and show both (`narrator`).
//!
//! This crate knows the program only from outside, by its command line. No institution runs it.

pub mod cohort;
mod cohorts;

mod answer;
mod node;
mod reader;
mod refusal;

mod narrator;
mod story;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use concordat_protocol::time::Timestamp;

use cohorts::Cohorts;
use narrator::Narrator;
use story::{CHAPTERS, DemoNodes, Story};

/// How long the grants of the demonstration last, in seconds: 180 days.
const GRANT_SECONDS: i64 = 180 * 86_400;

/// Options of the demonstration.
#[derive(Debug, Default)]
pub struct DemoOptions {
    /// Folder with files of the four-hospital heart study.
    pub data: Option<PathBuf>,
    /// Leave the nodes running and the data in place.
    pub keep: bool,
    /// No colors.
    pub plain: bool,
}

/// Runs the demonstration. Its grants are requested at `now`.
///
/// # Errors
/// The first step that does not have the expected result.
pub async fn run(options: &DemoOptions, now: Timestamp) -> Result<()> {
    let dir = DemoDir::create()?;
    let until = now.plus_seconds(GRANT_SECONDS).to_string();
    let until = until.split('T').next().unwrap_or(&until).to_owned();
    let cohorts = Cohorts::prepare(options.data.as_deref(), dir.path(), until)?;
    let narrator = Narrator::new(!options.plain, CHAPTERS);
    let story = Story::new(&narrator, &cohorts);

    let nodes = story.init_nodes(dir.path()).await?;
    story.form_consortium(&nodes, dir.path()).await?;
    story.import(&nodes).await?;
    let grant = story.negotiate(&nodes).await?;
    story.query(&nodes).await?;
    story.refuse(&nodes).await?;
    story.revoke(&nodes, &grant).await?;
    story.prove(&nodes).await?;
    narrator.finish();
    end(options, nodes, dir, &narrator).await
}

/// Writes the generated patients of the three institutions into `dir`, one CSV file each, named after the institution.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write_cohorts(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("`{}` cannot be created", dir.display()))?;
    Cohorts::prepare(None, dir, String::new()).map(drop)
}

async fn end(options: &DemoOptions, nodes: DemoNodes, demo_dir: DemoDir, narrator: &Narrator) -> Result<()> {
    let DemoNodes {
        cleveland,
        budapest,
        zurich,
    } = nodes;
    if !options.keep {
        for node in [cleveland, budapest, zurich] {
            node.stop().await?;
        }
        return Ok(());
    }
    narrator.narrate("The three nodes keep running. To connect to one of them:");
    for node in [cleveland, budapest, zurich] {
        let profile = node.profile;
        let dir = node.keep();
        narrator.output(&format!(
            "concordat --dir {} login {}",
            dir.display(),
            profile.researcher
        ));
    }
    narrator.narrate(&format!("The password of every account is \"{}\".", story::PASSWORD));
    demo_dir.keep();
    Ok(())
}

/// The folder with the data of the demonstration; removed at the end unless `--keep` is given.
#[derive(Debug)]
struct DemoDir {
    path: PathBuf,
    keep: bool,
}

impl DemoDir {
    fn create() -> Result<Self> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).context("the operating system provides no random numbers")?;
        let name = format!("concordat-demo-{}", data_encoding::HEXLOWER.encode(&random));
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.context("the temporary folder cannot be created")?;
        Ok(Self { path, keep: false })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for DemoDir {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the demonstration's folder was not removed");
        }
    }
}
