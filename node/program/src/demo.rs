//! `concordat demo`.

use std::path::PathBuf;

use concordat_cli::Context;
use concordat_demo::DemoOptions;
use concordat_documents::problem::Problem;
use concordat_node::Clock;
use concordat_protocol::error_kind::ErrorKind;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use the files processed.{cleveland,hungarian,switzerland}.data in DIR instead of generated patients
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Leave the nodes running and print how to connect
    #[arg(long)]
    keep: bool,
    /// Only write the generated patients into DIR, a CSV file for each institution
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "keep"])]
    write_cohorts: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    if let Some(dir) = &args.write_cohorts {
        let written = concordat_demo::write_cohorts(dir);
        return written
            .map_err(|error| Problem::new(ErrorKind::Internal, format!("the patients were not written: {error:#}")));
    }
    let options = DemoOptions {
        data: args.data,
        keep: args.keep,
        plain: !context.color,
    };
    let result = concordat_demo::run(&options, Clock::system().now()).await;
    result.map_err(|error| Problem::new(ErrorKind::Internal, format!("the demonstration stopped: {error:#}")))
}
