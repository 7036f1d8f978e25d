//! Three institutions on one machine, start to finish.
//!
//! The demonstration has no shortcuts: it starts three daemons of this very program in three data directories and types the
//! commands that people would type. They talk over real sockets and keep real sealed files.

pub mod cohort;
mod cohorts;
mod house;
mod reader;
mod story;
mod tell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::clock::Clock;
use cohorts::Cohorts;
use story::{CHAPTERS, Houses, Story};
use tell::Teller;

/// How long the grants of the demonstration last, in seconds: 180 days.
const GRANT_SECONDS: i64 = 180 * 86_400;

/// What the demonstration is asked to do.
#[derive(Debug, Default)]
pub struct DemoOptions {
    /// Folder with files of the four-hospital heart study.
    pub data: Option<PathBuf>,
    /// Leave the nodes running and the data in place.
    pub keep: bool,
    /// No colours.
    pub plain: bool,
}

/// Plays the demonstration.
///
/// # Errors
/// The first step that does not go as the story tells.
pub async fn run(options: &DemoOptions) -> Result<()> {
    let place = Place::make()?;
    let until = Clock::system().now().plus_seconds(GRANT_SECONDS).to_string();
    let until = until.split('T').next().unwrap_or(&until).to_owned();
    let cohorts = Cohorts::prepare(options.data.as_deref(), place.path(), until)?;
    let teller = Teller::new(!options.plain, CHAPTERS);
    let story = Story::new(&teller, &cohorts);

    let houses = story.settle(place.path()).await?;
    story.unite(&houses, place.path()).await?;
    story.import(&houses).await?;
    let grant = story.negotiate(&houses).await?;
    story.query(&houses).await?;
    story.refuse(&houses).await?;
    story.revoke(&houses, &grant).await?;
    story.prove(&houses).await?;
    teller.finish();
    end(options, houses, place, &teller).await
}

/// Writes the generated patients of the three institutions into `dir`, one CSV file each, named after the institution.
///
/// # Errors
/// If the disk refuses.
pub fn write_cohorts(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("`{}` cannot be made", dir.display()))?;
    Cohorts::prepare(None, dir, String::new()).map(drop)
}

async fn end(options: &DemoOptions, houses: Houses, place: Place, teller: &Teller) -> Result<()> {
    let Houses {
        cleveland,
        budapest,
        zurich,
    } = houses;
    if !options.keep {
        for house in [cleveland, budapest, zurich] {
            house.stop().await?;
        }
        return Ok(());
    }
    teller.say("The three nodes keep running. To connect to one of them:");
    for house in [cleveland, budapest, zurich] {
        let (profile, dir) = (house.profile, house.keep());
        teller.output(&format!(
            "concordat --dir {} login {}",
            dir.display(),
            profile.researcher
        ));
    }
    teller.say(&format!("Everybody's password is \"{}\".", story::PASSWORD));
    place.keep();
    Ok(())
}

/// The folder in which everything happens; removed at the end unless it is kept.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    kept: bool,
}

impl Place {
    fn make() -> Result<Self> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).context("the system gives no random numbers")?;
        let name = format!("concordat-demo-{}", data_encoding::HEXLOWER.encode(&random));
        let path = std::env::temp_dir().join(name);
        concordat_storage::fs::create_dir_private(&path).context("the temporary folder cannot be made")?;
        Ok(Self { path, kept: false })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the demonstration's folder was not removed");
        }
    }
}
