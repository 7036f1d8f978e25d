//! `concordat key status` and `key rotate`: the keys of the running node.

use clap::Subcommand;
use concordat_documents::key::{KeyStatus, NewInstitutionKey, NextInstitutionKey, Rotated, Rotation};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{DatasetName, SegmentName};

use crate::context::Context;
use crate::output::{Column, Format};

/// The keys of the running node.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Which keys exist, and which datasets still need older ones
    Status,
    /// Replace a key with a new one
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false, id = "which")]
pub(crate) struct Which {
    /// The master key; data and state are not touched
    #[arg(long)]
    master: bool,
    /// The key that signs for the institution; prints the application that the coordinator must admit before the key is valid
    #[arg(long)]
    institution: bool,
    /// The key of a segment; data is not touched
    #[arg(long, value_name = "SEGMENT")]
    segment: Option<SegmentName>,
    /// The key of a dataset, for what is imported from now on
    #[arg(long, value_name = "DATASET")]
    dataset: Option<DatasetName>,
}

#[derive(Debug, clap::Args)]
pub struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Reencrypt the dataset in the background, and destroy its older keys
    #[arg(long, requires = "dataset")]
    reencrypt: bool,
}

const COLUMNS: [Column; 5] = [
    ("dataset", "dataset"),
    ("segment", "segment"),
    ("key", "key"),
    ("older keys", "older_keys"),
    ("reencrypting", "reencrypting"),
];

impl KeyCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The problem that the node returned.
    pub async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Status => {
                let status: KeyStatus = context.client()?.get("/v1/keys").await?;
                if context.out.format() == Format::Json {
                    return context.out.record(&status);
                }
                if context.out.format() == Format::Table {
                    let by = &status.unlocked_by;
                    context.out.text(&format!("the master key is unlocked by a {by}\n\n"))?;
                }
                context.out.list(&status.items, &COLUMNS)
            }
            Self::Rotate(rotate) => {
                if rotate.which.institution {
                    return rotate_institution(context).await;
                }
                let (body, sentence) = rotate.request();
                let done: Rotated = context.client()?.post("/v1/keys/rotate", &body).await?;
                context.out.done(&sentence, &done)
            }
        }
    }
}

/// The next key is pending until the roster lists it; without a consortium it is valid at once.
async fn rotate_institution(context: &Context) -> Result<(), Problem> {
    let rotation = Rotation::Institution {};
    let done: Rotated = context.client()?.post("/v1/keys/rotate", &rotation).await?;
    match &done {
        Rotated::NextInstitutionKey(NextInstitutionKey { fingerprint, armor, .. })
            if context.out.format() != Format::Json =>
        {
            context.out.note(&format!(
                "the next key of this institution is {fingerprint}. Nothing has changed yet: send the following text to the coordinator, who runs \
                 `concordat consortium admit FILE`; take a snapshot once the roster lists the key"
            ));
            context.out.text(armor)
        }
        Rotated::InstitutionKey(NewInstitutionKey { fingerprint, .. }) => {
            let sentence = format!(
                "the institution has a new key, {fingerprint}; take a snapshot, older ones are signed with the previous key"
            );
            context.out.done(&sentence, &done)
        }
        Rotated::NextInstitutionKey(_) | Rotated::MasterKey(_) | Rotated::SegmentKey(_) | Rotated::DatasetKey(_) => {
            context.out.record(&done)
        }
    }
}

impl Rotate {
    /// The request to the daemon, and the sentence to print when it is done.
    fn request(&self) -> (Rotation, String) {
        if let Some(segment) = &self.which.segment {
            let sentence = format!("segment {segment} has a new key; no data was touched");
            let segment = segment.clone();
            return (Rotation::Segment { segment }, sentence);
        }
        let Some(dataset) = &self.which.dataset else {
            let sentence = "the node has a new master key; no data was touched. Make a new backup of the keys";
            return (Rotation::Master {}, sentence.to_owned());
        };
        let sentence = if self.reencrypt {
            format!("{dataset} has a new key; its data is being reencrypted, see `concordat key status`")
        } else {
            format!("{dataset} has a new key for what is imported from now on")
        };
        let rotation = Rotation::Dataset {
            dataset: dataset.clone(),
            reencrypt: self.reencrypt,
        };
        (rotation, sentence)
    }
}
