//! `concordat dataset locks` and `concordat dataset unlock`: people whose queries below records are locked.

use concordat_client::Client;
use concordat_documents::Items;
use concordat_documents::dataset::{ReleaseLock, Unlock, UnlockRequest, UnlockState};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{ActorId, DatasetName, InstitutionId};

use crate::context::Context;
use crate::output::Column;

const LOCKS: [Column; 4] = [
    ("institution", "institution"),
    ("person", "person"),
    ("since", "since"),
    ("unlock proposed by", "proposed_by"),
];

/// Whose queries to unlock.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The dataset
    name: DatasetName,
    /// The institution
    #[arg(long, value_name = "INSTITUTION")]
    institution: InstitutionId,
    /// The person, as name@institution; all locked people of the institution if omitted
    #[arg(long, value_name = "PERSON")]
    person: Option<ActorId>,
}

impl Args {
    pub(super) async fn run(self, client: &Client, context: &Context) -> Result<(), Problem> {
        let request = UnlockRequest {
            institution: self.institution,
            person: self.person,
        };
        let path = format!("/v1/datasets/{}/unlock", self.name);
        let done: Unlock = client.post(&path, &request).await?;
        let people: Vec<&str> = done.people.iter().map(ActorId::as_str).collect();
        let people = people.join(", ");
        let sentence = match done.state {
            UnlockState::Unlocked => format!("queries of {people} below records to {} are unlocked", done.collection),
            UnlockState::Proposed => format!(
                "it is proposed to unlock queries of {people} below records to {}; another steward types the same command",
                done.collection
            ),
        };
        context.out.done(&sentence, &done)
    }
}

/// Lists the people whose queries are locked.
pub(super) async fn list(name: &DatasetName, client: &Client, context: &Context) -> Result<(), Problem> {
    let locks: Items<ReleaseLock> = client.get(&format!("/v1/datasets/{name}/locks")).await?;
    context.out.list(&locks.items, &LOCKS)
}
