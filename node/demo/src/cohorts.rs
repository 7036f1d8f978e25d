//! The patients of the demonstration: the heart study's files if they are provided, otherwise generated cohorts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cohort::{Cohort, HEART_COLUMNS, IDENTITY_COLUMNS, Site};

/// Fixed, so that two runs show the same patients.
const SEED: u64 = 1988;

/// Each institution, its site in the study, the study's file and the size of the generated cohort. Budapest's is large enough
/// for an answer to be still running when it is interrupted.
const SITES: [(&str, Site, &str, usize); 3] = [
    ("cleveland", Site::Cleveland, "processed.cleveland.data", 3000),
    ("budapest", Site::Budapest, "processed.hungarian.data", 40_000),
    ("zurich", Site::Zurich, "processed.switzerland.data", 4000),
];

/// What is sensitive in a generated cohort besides the findings.
const IDENTITY_CLASSES: [&str; 5] = [
    "record_number=direct-identifier",
    "name=direct-identifier",
    "birth_date=quasi-identifier",
    "postcode=quasi-identifier",
    "age=quasi-identifier",
];

/// One institution's patients.
#[derive(Debug)]
pub(crate) struct CohortFile {
    pub(crate) path: PathBuf,
    pub(crate) generated: bool,
    columns: Vec<String>,
}

/// The patients of all institutions.
#[derive(Debug)]
pub(crate) struct Cohorts {
    files: BTreeMap<&'static str, CohortFile>,
    until: String,
}

impl Cohorts {
    /// Uses the study's files from `data` if they exist and writes generated cohorts into `dir` for the rest.
    /// `until` is the day on which the grants of the demonstration end.
    pub(crate) fn prepare(data: Option<&Path>, dir: &Path, until: String) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (id, site, file, subjects) in SITES {
            let real = data.map(|data| data.join(file)).filter(|path| path.is_file());
            let cohort = match real {
                Some(path) => study_file(path)?,
                None => generated(dir.join(format!("{id}.csv")), site, subjects)?,
            };
            files.insert(id, cohort);
        }
        if data.is_some() && files.values().all(|cohort| cohort.generated) {
            bail!(
                "none of the files processed.{{cleveland,hungarian,switzerland}}.data is in the folder given with --data"
            );
        }
        Ok(Self { files, until })
    }

    pub(crate) fn of(&self, institution: &str) -> Result<&CohortFile> {
        self.files
            .get(institution)
            .with_context(|| format!("no patients for {institution}"))
    }

    /// The day on which the grants end.
    pub(crate) fn until(&self) -> &str {
        &self.until
    }
}

impl CohortFile {
    /// `column=class` for every column.
    pub(crate) fn classes(&self) -> Vec<&str> {
        self.columns.iter().map(String::as_str).collect()
    }
}

fn generated(path: PathBuf, site: Site, subjects: usize) -> Result<CohortFile> {
    let mut file = BufWriter::new(File::create(&path).context("the cohort cannot be written")?);
    Cohort::generate(site, subjects, SEED).write_csv(&mut file)?;
    file.flush()?;
    let known: Vec<String> = IDENTITY_CLASSES.iter().map(ToString::to_string).collect();
    let columns = IDENTITY_COLUMNS.iter().chain(&HEART_COLUMNS).copied();
    Ok(CohortFile {
        path,
        generated: true,
        columns: classified(columns, known),
    })
}

/// A file of the study: its header names the columns, or the published order does.
fn study_file(path: PathBuf) -> Result<CohortFile> {
    let mut first = String::new();
    BufReader::new(File::open(&path)?)
        .read_line(&mut first)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let header = first.trim_start_matches('\u{feff}').trim();
    let named = header.starts_with(|c: char| c.is_ascii_alphabetic());
    let columns: Vec<&str> = if named {
        header.split(',').collect()
    } else {
        HEART_COLUMNS.to_vec()
    };
    let columns = classified(columns.into_iter(), vec!["age=quasi-identifier".to_owned()]);
    Ok(CohortFile {
        path,
        generated: false,
        columns,
    })
}

/// Every column that is not among the `known` ones is a finding, and findings are sensitive.
fn classified<'a>(columns: impl Iterator<Item = &'a str>, mut known: Vec<String>) -> Vec<String> {
    for column in columns {
        let is_known = known.iter().any(|class| class.split('=').next() == Some(column));
        if !is_known {
            known.push(format!("{column}=sensitive"));
        }
    }
    known
}
