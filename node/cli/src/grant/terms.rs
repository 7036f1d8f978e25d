//! What is requested and offered, as options of the command line.

use std::path::PathBuf;

use clap::Args;
use concordat_documents::grant::{GrantRequest, OfferLimits, OfferTerms, RequestedTerms};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{ActorId, DatasetName, InstitutionId, InvalidName, SelectedColumn};
use concordat_protocol::negotiation::Justification;
use concordat_protocol::scope::{FiguresWithNoise, ProtectionName, Purpose, Tier};

use super::datasets::{Requested, Target, datasets, requests};
use crate::context::Context;
use crate::end::{ZoneArgs, end};

/// What is requested.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The dataset or collection, as `institution/dataset`; several, separated by commas, are requested one by one with the same terms.
    /// Datasets of one collection, as `institution/collection/dataset`, are one request
    #[arg(required = true, value_name = "DATASET", value_delimiter = ',')]
    targets: Vec<Target>,
    /// The datasets of one institution that a file names: one on each line, or as `concordat catalog --format csv` writes them
    #[arg(long, value_name = "FILE")]
    datasets_from: Option<PathBuf>,
    /// How much an answer may reveal: exists, count, aggregate or records
    #[arg(long, default_value = "records")]
    tier: Tier,
    /// How figures below records are protected at least: exact, perturbed or private; by default as the holder's policy does
    #[arg(long)]
    protection: Option<ProtectionName>,
    /// The datasets of the collection, separated by commas; by default those of which a column is requested
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    datasets: Vec<DatasetName>,
    /// The columns, separated by commas, for example age,sex or person.age,visit.ward; all by default
    #[arg(long, value_delimiter = ',')]
    columns: Vec<SelectedColumn>,
    /// Which rows, for example "age >= 40 AND sex = 1" or "person.year_of_birth >= 1950"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The purpose: general-research, health-research, disease:MONDO:nnnnnnn, methods-development, ancestry, clinical-care
    #[arg(long, required = true, value_delimiter = ',')]
    purpose: Vec<Purpose>,
    /// The end: a day, which is included, for example 2027-06-30; or a moment, for example 2027-06-30T12:00:00+02:00
    #[arg(long, value_name = "DATE", value_parser = end)]
    until: String,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Who may use it, as name@institution; everyone with the role by default
    #[arg(long, value_delimiter = ',')]
    people: Vec<ActorId>,
    /// The justification, in a sentence for the steward
    #[arg(long)]
    justification: Option<Justification>,
}

impl RequestArgs {
    /// What the node is sent. The zone of a date is noted.
    ///
    /// # Errors
    /// `usage` if the datasets are not stated as they should be, or if the end states a zone beside `--zone`.
    pub(super) fn requests(self, context: &Context) -> Result<Requests, Problem> {
        let targets = requests(datasets(&self.targets, self.datasets_from.as_deref())?);
        if !self.datasets.is_empty() && targets.len() > 1 {
            return Err(
                Problem::usage("`--datasets` names datasets of one collection, and several are requested")
                    .help("request each with a command of its own"),
            );
        }
        let until = self.zone.end(&self.until, context)?;
        Ok(Requests {
            targets,
            ..Requests::from(Self { until, ..self })
        })
    }
}

/// The same request for one or more datasets or collections.
#[derive(Debug)]
pub(super) struct Requests {
    /// What is requested, each collection once.
    pub(super) targets: Vec<Requested>,
    terms: RequestedTerms,
    justification: Option<Justification>,
}

impl Requests {
    /// The request for one of them.
    pub(super) fn of(&self, target: &Requested) -> GrantRequest {
        let mut request = self.terms.clone();
        request.datasets = target.datasets.clone().or(request.datasets);
        GrantRequest {
            dataset: target.dataset.clone(),
            request,
            justification: self.justification.clone(),
        }
    }
}

/// Without the targets.
impl From<RequestArgs> for Requests {
    fn from(args: RequestArgs) -> Self {
        Self {
            targets: Vec::new(),
            terms: RequestedTerms {
                tier: Some(args.tier),
                protection: args.protection,
                datasets: unless_empty(args.datasets),
                columns: unless_empty(args.columns),
                condition: args.condition,
                purposes: args.purpose.into_iter().collect(),
                until: args.until,
                people: unless_empty(args.people),
            },
            justification: args.justification,
        }
    }
}

/// The negotiations that a step is about.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Its id, or a prefix of it; with several, the step is made for each
    #[arg(value_name = "ID", required_unless_present = "all_from")]
    pub(super) ids: Vec<String>,
    /// All negotiations with this institution that wait for this step
    #[arg(long, value_name = "INSTITUTION", conflicts_with = "ids")]
    pub(super) all_from: Option<InstitutionId>,
}

/// How the offer narrows what the policy allows. Omitted parts stay as the policy allows them.
#[derive(Debug, Args)]
pub struct OfferArgs {
    #[command(flatten)]
    pub(super) negotiations: IdArgs,
    #[command(flatten)]
    pub(super) terms: TermArgs,
}

#[derive(Debug, Args)]
pub struct TermArgs {
    /// The highest tier: exists, count, aggregate or records
    #[arg(long)]
    tier: Option<Tier>,
    /// How figures below records are protected at least: exact, perturbed or private
    #[arg(long)]
    protection: Option<ProtectionName>,
    /// Only these datasets of the collection, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    datasets: Vec<DatasetName>,
    /// Only these columns, separated by commas, for example age,sex or person.age,visit.ward
    #[arg(long, value_delimiter = ',')]
    columns: Vec<SelectedColumn>,
    /// Only these rows, for example "age >= 40 AND sex = 1"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The end: a day, which is included, for example 2027-06-30; or a moment, for example 2027-06-30T12:00:00+02:00
    #[arg(long, value_name = "DATE", value_parser = end)]
    until: Option<String>,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Only these people, as name@institution
    #[arg(long, value_delimiter = ',')]
    people: Vec<ActorId>,
    /// Limits, for example max-rows=1000,queries-per-day=20,min-cell=20, and below records max-cells=50,distinctions=100,figures-with-noise=8
    #[arg(long, value_name = "LIMIT=NUMBER", value_delimiter = ',', value_parser = limit)]
    limits: Vec<Limit>,
    /// How columns are shown, for example age=band:10,visit=year,name=pseudonym,person.chol=removed
    #[arg(long = "transform", value_name = "COLUMN=TRANSFORM", value_delimiter = ',', value_parser = transform)]
    transforms: Vec<(SelectedColumn, String)>,
}

impl TermArgs {
    /// What the node is sent. The zone of a date is noted.
    ///
    /// # Errors
    /// `usage` if the end states a zone beside `--zone`.
    pub(super) fn terms(self, context: &Context) -> Result<OfferTerms, Problem> {
        let until = self.until.as_deref();
        let until = until.map(|until| self.zone.end(until, context)).transpose()?;
        Ok(OfferTerms::from(Self { until, ..self }))
    }
}

impl From<TermArgs> for OfferTerms {
    fn from(args: TermArgs) -> Self {
        let mut limits = OfferLimits::default();
        for limit in args.limits {
            match limit {
                Limit::MaxRows(number) => limits.max_rows = Some(number),
                Limit::QueriesPerDay(number) => limits.queries_per_day = Some(number),
                Limit::MinCell(number) => limits.min_cell = Some(number),
                Limit::MaxCells(number) => limits.max_cells = Some(number),
                Limit::Distinctions(number) => limits.distinctions = Some(number),
                Limit::FiguresWithNoise(number) => limits.figures_with_noise = Some(number),
            }
        }
        Self {
            tier: args.tier,
            protection: args.protection,
            datasets: unless_empty(args.datasets),
            columns: unless_empty(args.columns),
            condition: args.condition,
            until: args.until,
            people: unless_empty(args.people),
            limits,
            transforms: args.transforms.into_iter().collect(),
        }
    }
}

fn unless_empty<T, C: FromIterator<T>>(list: Vec<T>) -> Option<C> {
    (!list.is_empty()).then(|| list.into_iter().collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    MaxRows(u64),
    QueriesPerDay(u32),
    MinCell(u32),
    MaxCells(u32),
    Distinctions(u32),
    FiguresWithNoise(FiguresWithNoise),
}

fn limit(text: &str) -> Result<Limit, String> {
    let (name, number) = split(text)?;
    let invalid = |_| format!("the limit `{name}` must be a whole number, and not too large");
    match name {
        "max-rows" => number.parse().map(Limit::MaxRows).map_err(invalid),
        "queries-per-day" => number.parse().map(Limit::QueriesPerDay).map_err(invalid),
        "min-cell" => number.parse().map(Limit::MinCell).map_err(invalid),
        "max-cells" => number.parse().map(Limit::MaxCells).map_err(invalid),
        "distinctions" => number.parse().map(Limit::Distinctions).map_err(invalid),
        "figures-with-noise" => {
            let figures = FiguresWithNoise::new(number.parse().map_err(invalid)?);
            figures
                .map(Limit::FiguresWithNoise)
                .map_err(|_| format!("the limit `{name}` must be 1 to 64"))
        }
        _ => Err(format!(
            "`{name}` is not a limit; the limits are max-rows, queries-per-day, min-cell, max-cells, distinctions and \
             figures-with-noise"
        )),
    }
}

fn transform(text: &str) -> Result<(SelectedColumn, String), String> {
    let (column, transform) = split(text)?;
    let column = column.parse().map_err(|error: InvalidName| error.to_string())?;
    Ok((column, transform.to_owned()))
}

fn split(text: &str) -> Result<(&str, &str), String> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    parts.ok_or_else(|| format!("`{text}` is not of the form NAME=VALUE"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Request {
        #[command(flatten)]
        args: RequestArgs,
    }

    #[derive(Debug, Parser)]
    struct Offer {
        #[command(flatten)]
        args: OfferArgs,
    }

    #[test]
    fn request_options_are_read_as_what_the_node_reads() {
        let request = Requests::from(request("--where", "age >= 40").unwrap().args);
        assert_eq!(request.terms.tier, Some(Tier::Records));
        assert_eq!((&request.terms.columns, &request.terms.people), (&None, &None));
        let sent = request.of(&heart());
        assert_eq!((sent.dataset, sent.request), (heart().dataset, request.terms));
        let some = Requests::from(self::request("--columns", "person.age,sex").unwrap().args);
        let columns = some.terms.columns.clone().unwrap();
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        assert_eq!(columns, ["sex", "person.age"]);
        let several = Requested {
            dataset: "budapest/omop".parse().unwrap(),
            datasets: Some(["person".parse().unwrap()].into()),
        };
        assert_eq!(some.of(&several).request.datasets, several.datasets);
        let named = Requests::from(self::request("--datasets", "person,visit").unwrap().args);
        assert_eq!(named.of(&heart()).request.datasets.unwrap().len(), 2);
        for (option, value, words) in [
            ("--purpose", "war", "is not a known purpose; write general-research"),
            ("--tier", "all", "is not a tier; write exists"),
            (
                "--protection",
                "none",
                "is not a protection; write exact, perturbed or private",
            ),
            ("--until", "yesterday", "is not a date; write `2027-01-31`"),
            ("--people", "anna", "anna"),
            ("--columns", "a b", "a b"),
        ] {
            let error = self::request(option, value).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(option), "{error}");
        }
    }

    fn heart() -> Requested {
        Requested {
            dataset: "budapest/heart".parse().unwrap(),
            datasets: None,
        }
    }

    /// A request with `option`, and those that are required.
    fn request(option: &str, value: &str) -> Result<Request, clap::Error> {
        let required = [("--purpose", "health-research"), ("--until", "2031-01-01")];
        let others = required.into_iter().filter(|(known, _)| *known != option);
        let options = others
            .chain([(option, value)])
            .flat_map(|(option, value)| [option, value]);
        Request::try_parse_from(["x", "budapest/heart"].into_iter().chain(options))
    }

    #[test]
    fn step_is_about_ids_or_all_of_an_institution() {
        let read = |words: &[&str]| Offer::try_parse_from([&["x"], words].concat());
        let ids = read(&["5b97", "a31c", "--tier", "aggregate"])
            .unwrap()
            .args
            .negotiations;
        assert_eq!((ids.ids.len(), ids.all_from), (2, None));
        let all = read(&["--all-from", "zurich"]).unwrap().args.negotiations;
        assert_eq!((all.ids.len(), all.all_from), (0, Some("zurich".parse().unwrap())));
        assert!(read(&[]).is_err() && read(&["5b97", "--all-from", "zurich"]).is_err());
    }

    #[test]
    fn offer_options_become_limits_and_transforms() {
        let offer = [
            "x",
            "5b97",
            "--limits",
            "max-rows=1000,min-cell=20,max-cells=50,distinctions=100,figures-with-noise=8",
            "--transform",
            "age=band:10,name=removed",
        ];
        let terms = OfferTerms::from(Offer::try_parse_from(offer).unwrap().args.terms);
        let limits = OfferLimits {
            max_rows: Some(1000),
            queries_per_day: None,
            min_cell: Some(20),
            max_cells: Some(50),
            distinctions: Some(100),
            figures_with_noise: FiguresWithNoise::new(8).ok(),
        };
        assert_eq!(terms.limits, limits);
        assert_eq!(terms.transforms[&"age".parse().unwrap()], "band:10");
        assert_eq!(terms.columns, None);
        for (limit, words) in [
            ("max-rows", "is not of the form NAME=VALUE"),
            ("max-rows=many", "must be a whole number"),
            ("rows=1", "is not a limit; the limits are max-rows"),
            ("figures-with-noise=65", "must be 1 to 64"),
            ("figures-with-noise=256", "must be a whole number"),
        ] {
            let error = Offer::try_parse_from(["x", "5b97", "--limits", limit]).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
