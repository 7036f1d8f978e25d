//! `concordat key …`: what unlocks and seals.

use clap::Subcommand;
use concordat_protocol::ids::{DatasetName, SegmentName};
use serde_json::{Value, json};

use super::{Context, output::Column};
use crate::{fault::Problem, json::Field as _};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Which keys there are, and which datasets still need older ones
    Status,
    /// Put a new key into the place of an old one
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false, id = "which")]
pub(super) struct Which {
    /// The master key; data and state are not touched
    #[arg(long)]
    master: bool,
    /// The key of a segment; data is not touched
    #[arg(long, value_name = "SEGMENT")]
    segment: Option<SegmentName>,
    /// The key of a dataset, for what is imported from now on
    #[arg(long, value_name = "DATASET")]
    dataset: Option<DatasetName>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Seal again what the dataset holds, in the background, and forget its older keys
    #[arg(long, requires = "dataset")]
    reseal: bool,
}

const COLUMNS: [Column; 5] = [
    ("dataset", "dataset"),
    ("segment", "segment"),
    ("key", "key"),
    ("older keys", "older_keys"),
    ("resealing", "resealing"),
];

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        match self {
            Self::Status => {
                let status: Value = client.get("/v1/keys").await?;
                if context.out.format() == super::Format::Json {
                    return context.out.record(&status);
                }
                if context.out.format() == super::Format::Table {
                    let by = status.text("unlocked_by");
                    context.out.text(&format!("the master key is unlocked by a {by}\n\n"))?;
                }
                context.out.list(status.at("items"), &COLUMNS)
            }
            Self::Rotate(rotate) => {
                let (body, sentence) = rotate.request();
                let done: Value = client.post("/v1/keys/rotate", &body).await?;
                context.out.done(&sentence, &done)
            }
        }
    }
}

impl Rotate {
    /// What is asked of the daemon, and what is said when it is done.
    fn request(&self) -> (Value, String) {
        if let Some(segment) = &self.which.segment {
            let body = json!({ "segment": { "segment": segment } });
            return (body, format!("segment {segment} has a new key; no data was touched"));
        }
        let Some(dataset) = &self.which.dataset else {
            let said = "the node has a new master key; no data was touched. Make a new backup of the keys";
            return (json!({ "master": {} }), said.to_owned());
        };
        let body = json!({ "dataset": { "dataset": dataset, "reseal": self.reseal } });
        let said = if self.reseal {
            format!("{dataset} has a new key; what it holds is being sealed again, see `concordat key status`")
        } else {
            format!("{dataset} has a new key for what is imported from now on")
        };
        (body, said)
    }
}
