//! What is requested and offered, as options of the command line.

use clap::Args;
use concordat_documents::grant::{GrantRequest, OfferLimits, OfferTerms, RequestedTerms};
use concordat_protocol::ids::{ActorId, ColumnName, DatasetRef, InvalidName};
use concordat_protocol::negotiation::Justification;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::time::{InvalidTime, Timestamp};

/// What is requested.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The dataset, as `institution/dataset`
    dataset: DatasetRef,
    /// How much an answer may reveal: exists, count, aggregate or records
    #[arg(long, default_value = "records")]
    tier: Tier,
    /// The columns, separated by commas; all by default
    #[arg(long, value_delimiter = ',')]
    columns: Vec<ColumnName>,
    /// Which rows, for example "age >= 40 AND sex = 1"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The purpose: general-research, health-research, disease:MONDO:nnnnnnn, methods-development, ancestry, clinical-care
    #[arg(long, required = true, value_delimiter = ',')]
    purpose: Vec<Purpose>,
    /// The end, for example 2027-06-30
    #[arg(long, value_parser = date)]
    until: String,
    /// Who may use it, as name@institution; everyone with the role by default
    #[arg(long, value_delimiter = ',')]
    people: Vec<ActorId>,
    /// The justification, in a sentence for the steward
    #[arg(long)]
    justification: Option<Justification>,
}

impl From<RequestArgs> for GrantRequest {
    fn from(args: RequestArgs) -> Self {
        Self {
            dataset: args.dataset,
            request: RequestedTerms {
                tier: Some(args.tier),
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

/// How the offer narrows what the policy allows. Omitted parts stay as the policy allows them.
#[derive(Debug, Args)]
pub struct OfferArgs {
    /// Its id, or a prefix of it
    pub(super) id: String,
    #[command(flatten)]
    pub(super) terms: TermArgs,
}

#[derive(Debug, Args)]
pub struct TermArgs {
    /// The highest tier: exists, count, aggregate or records
    #[arg(long)]
    tier: Option<Tier>,
    /// Only these columns, separated by commas
    #[arg(long, value_delimiter = ',')]
    columns: Vec<ColumnName>,
    /// Only these rows, for example "age >= 40 AND sex = 1"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The end, for example 2027-06-30
    #[arg(long, value_parser = date)]
    until: Option<String>,
    /// Only these people, as name@institution
    #[arg(long, value_delimiter = ',')]
    people: Vec<ActorId>,
    /// Limits, for example max-rows=1000,queries-per-day=20,min-cell=20
    #[arg(long, value_name = "LIMIT=NUMBER", value_delimiter = ',', value_parser = limit)]
    limits: Vec<Limit>,
    /// How columns are shown, for example age=band:10,visit=year,name=pseudonym,chol=removed
    #[arg(long = "transform", value_name = "COLUMN=TRANSFORM", value_delimiter = ',', value_parser = transform)]
    transforms: Vec<(ColumnName, String)>,
}

impl From<TermArgs> for OfferTerms {
    fn from(args: TermArgs) -> Self {
        let mut limits = OfferLimits::default();
        for limit in args.limits {
            match limit {
                Limit::MaxRows(number) => limits.max_rows = Some(number),
                Limit::QueriesPerDay(number) => limits.queries_per_day = Some(number),
                Limit::MinCell(number) => limits.min_cell = Some(number),
            }
        }
        Self {
            tier: args.tier,
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
}

fn limit(text: &str) -> Result<Limit, String> {
    let (name, number) = split(text)?;
    let invalid = |_| format!("the limit `{name}` must be a whole number, and not too large");
    match name {
        "max-rows" => number.parse().map(Limit::MaxRows).map_err(invalid),
        "queries-per-day" => number.parse().map(Limit::QueriesPerDay).map_err(invalid),
        "min-cell" => number.parse().map(Limit::MinCell).map_err(invalid),
        _ => Err(format!(
            "`{name}` is not a limit; the limits are max-rows, queries-per-day and min-cell"
        )),
    }
}

fn transform(text: &str) -> Result<(ColumnName, String), String> {
    let (column, transform) = split(text)?;
    let column = column.parse().map_err(|error: InvalidName| error.to_string())?;
    Ok((column, transform.to_owned()))
}

fn split(text: &str) -> Result<(&str, &str), String> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    parts.ok_or_else(|| format!("`{text}` is not of the form NAME=VALUE"))
}

/// Text that is a date; the node reads it again.
fn date(text: &str) -> Result<String, InvalidTime> {
    Timestamp::parse(text).map(|_| text.to_owned())
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
        let request = GrantRequest::from(request("--where", "age >= 40").unwrap().args).request;
        assert_eq!(request.tier, Some(Tier::Records));
        assert_eq!((request.columns, request.people), (None, None));
        for (option, value, words) in [
            ("--purpose", "war", "is not a known purpose; write general-research"),
            ("--tier", "all", "is not a tier; write exists"),
            ("--until", "yesterday", "is not a date; write `2027-01-31`"),
            ("--people", "anna", "anna"),
            ("--columns", "a b", "a b"),
        ] {
            let error = self::request(option, value).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(option), "{error}");
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
    fn offer_options_become_limits_and_transforms() {
        let offer = [
            "x",
            "5b97",
            "--limits",
            "max-rows=1000,min-cell=20",
            "--transform",
            "age=band:10,name=removed",
        ];
        let terms = OfferTerms::from(Offer::try_parse_from(offer).unwrap().args.terms);
        let limits = OfferLimits {
            max_rows: Some(1000),
            queries_per_day: None,
            min_cell: Some(20),
        };
        assert_eq!(terms.limits, limits);
        assert_eq!(terms.transforms[&"age".parse().unwrap()], "band:10");
        assert_eq!(terms.columns, None);
        for (limit, words) in [
            ("max-rows", "is not of the form NAME=VALUE"),
            ("max-rows=many", "must be a whole number"),
            ("rows=1", "is not a limit; the limits are max-rows"),
        ] {
            let error = Offer::try_parse_from(["x", "5b97", "--limits", limit]).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
