//! The files of a policy set, as a steward writes them.

use std::fs;
use std::path::{Path, PathBuf};

use concordat_documents::policy::{Case, ComparedSet, PolicyFile, PolicySources, Settings};
use concordat_documents::problem::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::files;
use concordat_documents::parse_message::sentence;

/// Name of the file with the settings of a set, beside its rules.
const SETTINGS: &str = "settings.toml";
/// Name of the file with the cases of a set, beside its rules.
const CASES: &str = "cases.toml";

/// Most bytes of one of these files: as many as a request may have.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The number of a set, or files.
pub(super) fn compared(text: &str) -> Result<ComparedSet, Problem> {
    match text.parse::<u64>() {
        Ok(number) => Ok(ComparedSet::Number(number)),
        Err(_) => sources(Path::new(text)).map(ComparedSet::Sources),
    }
}

/// A file of rules, or the rules and settings of a folder.
pub(super) fn sources(path: &Path) -> Result<PolicySources, Problem> {
    let mut files = Vec::new();
    for rule in rules(path)? {
        files.push(PolicyFile {
            name: rule.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            text: read(&rule)?,
        });
    }
    let settings = path.join(SETTINGS);
    let settings = if settings.is_file() {
        table(&settings)?
    } else {
        Settings::default()
    };
    Ok(PolicySources { files, settings })
}

/// The files of rules, in the order of their names.
fn rules(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut rules = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| files::unreadable(path, &error))? {
        let found = entry.map_err(|error| files::unreadable(path, &error))?.path();
        if found.extension().is_some_and(|extension| extension == "cedar") {
            rules.push(found);
        }
    }
    rules.sort();
    Ok(rules)
}

/// The cases beside the rules of a folder; none if there are none.
pub(super) fn cases_beside(path: &Path) -> Result<Vec<Case>, Problem> {
    let file = path.join(CASES);
    if file.is_file() { cases(&file) } else { Ok(Vec::new()) }
}

/// The cases of a file.
pub(super) fn cases(path: &Path) -> Result<Vec<Case>, Problem> {
    let file: CaseFile = table(path)?;
    let none = || Problem::usage(format!("`{}` contains no `[[case]]`", path.display()));
    file.case.ok_or_else(none)
}

#[derive(Deserialize)]
struct CaseFile {
    case: Option<Vec<Case>>,
}

fn table<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    let text = read(path)?;
    let table: toml::Table = text
        .parse()
        .map_err(|error| Problem::usage(format!("`{}` is not TOML: {error}", path.display())))?;
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let sentence = sentence(error.path(), error.inner().message());
        Problem::usage(format!("`{}` is not valid: {sentence}", path.display()))
    })
}

fn read(path: &Path) -> Result<String, Problem> {
    files::read_text(path, MAX_FILE)
}

/// Writes the files and settings of a set into the new folder `dir`.
pub(super) fn export(dir: &Path, sources: &[PolicyFile], settings: &Settings) -> Result<(), Problem> {
    fs::create_dir(dir)
        .map_err(|error| Problem::internal(&format!("cannot write into `{}`", dir.display()), &error))?;
    for file in sources {
        files::write(&dir.join(&file.name), file.text.as_bytes())?;
    }
    files::write(&dir.join(SETTINGS), settings_text(settings).as_bytes())
}

/// Settings in the format of `settings.toml`.
pub(super) fn settings_text(settings: &Settings) -> String {
    let Settings {
        max_days,
        min_cell,
        max_rows,
        max_queries_per_day,
        person_queries_below_records,
        institution_queries_below_records,
        all_queries_below_records,
        protection,
        max_cells,
        distinctions,
        figures_with_noise,
        loss,
        two_people,
    } = settings;
    let [query, total] = [loss.query().get(), loss.total().get()];
    let delta = loss.delta().get();
    format!(
        "max_days = {max_days}\nmin_cell = {min_cell}\nmax_rows = {max_rows}\nmax_queries_per_day = {max_queries_per_day}\n\
         person_queries_below_records = {person_queries_below_records}\n\
         institution_queries_below_records = {institution_queries_below_records}\n\
         all_queries_below_records = {all_queries_below_records}\n\
         protection = \"{protection}\"\nmax_cells = {max_cells}\ndistinctions = {distinctions}\n\
         figures_with_noise = {figures_with_noise}\n\
         loss = {{ query = {query}, total = {total}, delta = {delta} }}\n\
         two_people = {two_people}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use concordat_documents::decision::Decision;

    use super::*;

    const CASE: &str =
        "[[case]]\ntier = \"records\"\npurpose = \"health-research\"\nreveal = \"clear\"\nexpect = \"deny\"\n";

    #[test]
    fn policy_folder_is_read_with_its_settings_and_cases() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("b.cedar", "2"), ("a.cedar", "1"), ("notes.txt", "3")] {
            write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(cases_beside(dir.path()).unwrap(), []);
        write(dir.path().join(CASES), CASE).unwrap();
        let cases = cases_beside(dir.path()).unwrap();
        assert_eq!((cases.len(), cases[0].expect), (1, Decision::Deny));
        let settings = Settings {
            min_cell: 20,
            two_people: true,
            ..Settings::default()
        };
        assert_eq!(
            settings_text(&settings),
            "max_days = 365\nmin_cell = 20\nmax_rows = 1000000\nmax_queries_per_day = 1000\n\
             person_queries_below_records = 100\ninstitution_queries_below_records = 100\n\
             all_queries_below_records = 1000\n\
             protection = \"perturbed\"\nmax_cells = 500\ndistinctions = 512\n\
             figures_with_noise = 32\n\
             loss = { query = 10000, total = 1000000, delta = 6 }\n\
             two_people = true\n"
        );
        for text in ["min_cell = 20\ntwo_people = true\n", &settings_text(&settings)] {
            write(dir.path().join(SETTINGS), text).unwrap();
            assert_eq!(sources(dir.path()).unwrap().settings, settings, "{text}");
        }
        let read = sources(dir.path()).unwrap();
        let names: Vec<&str> = read.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.cedar", "b.cedar"]);
        let again = dir.path().join("again");
        export(&again, &read.files, &read.settings).unwrap();
        assert_eq!(sources(&again).unwrap(), read);
        assert!(
            export(&again, &read.files, &read.settings).is_err(),
            "the folder must be new"
        );
    }

    #[test]
    fn policy_file_that_is_wrong_is_refused_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CASES);
        for (text, words) in [
            ("[[case]", "is not TOML"),
            ("[other]\n", "contains no `[[case]]`"),
            (
                &CASE.replace("records", "all"),
                "`case[0].tier` has a value that is not known; write one of `exists`",
            ),
            (&CASE.replace("tier", "class"), "`case[0].class`"),
            (&format!("{CASE}color = 1\n"), "`case[0].color` does not exist"),
        ] {
            write(&path, text).unwrap();
            let problem = cases(&path).unwrap_err();
            assert!(problem.detail.contains(words), "{}", problem.detail);
        }
        assert!(
            cases(&dir.path().join("absent"))
                .unwrap_err()
                .detail
                .contains("there is no file")
        );
    }
}
