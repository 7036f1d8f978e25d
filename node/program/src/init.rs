//! `concordat init`.

use std::path::{Path, PathBuf};

use concordat_cli::Context;
use concordat_cli::output::{Format, Output};
use concordat_documents::problem::Problem;
use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_network::{DialRange, Dialing, Multiaddr};
use concordat_node::Clock;
use concordat_node::config::{
    self, Config, ImportSection, KeysFrom, LimitsSection, LogSection, NodeSection, StorageSection,
};
use concordat_node::init::{FIRST_ACCOUNT, Plan, Unlock, check_first_password, first_password_rule, init};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::{
    ids::{InstitutionId, Jurisdiction, NodeId},
    text::LegalName,
};
use serde::Serialize;

use crate::address::multiaddr;
use crate::{secrets, unlock};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Short id of the institution, such as `cleveland`
    #[arg(long, value_name = "ID")]
    institution: InstitutionId,
    /// Its legal name
    #[arg(long)]
    name: LegalName,
    /// The country whose law binds it (ISO 3166), such as `US`
    #[arg(long, value_name = "CC")]
    jurisdiction: Jurisdiction,
    /// Do not prompt: generate a key file and a first password if none is given
    #[arg(long)]
    unattended: bool,
    /// Unlock the node with this file (at least 32 bytes; hex, base64 or raw) instead of a passphrase [env: CONCORDAT_KEY_FILE]
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// Unlock the node with the credential of this name that systemd provides, instead of a passphrase
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_credential: Option<String>,
    /// Unlock the node with a key in the PKCS#11 token of this label, instead of a passphrase; the key is created in it if it does
    /// not exist
    #[arg(long, value_name = "LABEL", requires = "token_module", conflicts_with_all = ["key_file", "key_credential"])]
    token: Option<String>,
    /// The PKCS#11 module of the token, such as `/usr/lib/softhsm/libsofthsm2.so`
    #[arg(long, value_name = "PATH", requires = "token")]
    token_module: Option<PathBuf>,
    /// The label of the key in the token
    #[arg(long, value_name = "LABEL", default_value = unlock::TOKEN_KEY)]
    token_key: String,
    /// A file with the PIN of the token; without it, the node prompts for the PIN at every start
    #[arg(long, value_name = "PATH", requires = "token")]
    pin_file: Option<PathBuf>,
    /// The credential of this name, which systemd provides, is the PIN of the token
    #[arg(long, value_name = "NAME", requires = "token", conflicts_with = "pin_file")]
    pin_credential: Option<String>,
    /// An address at which others reach this node, such as `/dns/node.example.org/tcp/7400`; can be repeated
    #[arg(long, value_name = "MULTIADDR", value_parser = multiaddr)]
    address: Vec<Multiaddr>,
    /// An address to listen on, instead of all of this machine's, such as `/ip4/127.0.0.1/tcp/7400`; can be repeated. It has a port, so
    /// `--port` is left out
    #[arg(long, value_name = "MULTIADDR", value_parser = multiaddr, conflicts_with = "port")]
    listen: Vec<Multiaddr>,
    /// The port for peers on all addresses of this machine, TCP and UDP; 0 picks a free one
    #[arg(long, default_value_t = config::DEFAULT_PORT)]
    port: u16,
    /// Which addresses of members are dialed: `public` (the default), `private`, `loopback`, `link-local`, or a block such as
    /// `10.20.0.0/16`; can be repeated
    #[arg(long, value_name = "RANGE")]
    dial: Vec<DialRange>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let token = args.token.as_ref().map(|_| "--token");
    let other = token.or(args.key_credential.as_ref().map(|_| "--key-credential"));
    let key_file = unlock::key_file(args.key_file, unlock::named_key_file(), other)?;
    let unlock = match (args.token, args.token_module) {
        (Some(token), Some(module)) => {
            unlock::with_token(module, token, args.token_key, args.pin_file, args.pin_credential)?
        }
        (None, _) | (_, None) => unlock(key_file, args.key_credential, (args.unattended, &context.out))?,
    };
    let password = if args.unattended {
        secrets::piped()?
    } else {
        let what = format!("password for `{FIRST_ACCOUNT}`");
        let rule = first_password_rule();
        Some(secrets::chosen(&what, &rule, check_first_password, &context.out)?)
    };
    let config = Config {
        node: NodeSection {
            institution: args.institution,
            name: args.name,
            jurisdiction: args.jurisdiction,
            listen: if args.listen.is_empty() {
                NodeSection::listen_at(args.port)
            } else {
                args.listen
            },
            announce: args.address,
            dial: dial_ranges(args.dial),
        },
        keys: KeysFrom::Passphrase,
        storage: StorageSection::Local,
        import: ImportSection::default(),
        log: LogSection::default(),
        limits: LimitsSection::default(),
    };
    let institution = config.node.institution.clone();
    let plan = Plan {
        dir: context.dir.clone(),
        config,
        unlock,
        password,
        cost: Argon2Cost::default(),
    };
    let now = Clock::system().now();
    let created = tokio::task::spawn_blocking(move || init(plan, now))
        .await
        .map_err(|error| Problem::new(ErrorKind::Internal, format!("the setup was interrupted: {error}")))??;
    let fingerprint = created.institution_key.fingerprint();
    if let Some(path) = &created.made_key_file {
        let path = path.display();
        context.out.note(&format!(
            "the node is unlocked by `{path}`: move it to a location that is not backed up with the data"
        ));
        context.out.note(&format!(
            "and set its new location in `[keys]` of concordat.toml or in {}",
            config::KEY_FILE_VARIABLE
        ));
    }
    if let Some(path) = &created.made_password_file {
        let path = path.display();
        context.out.note(&format!(
            "the password of `{FIRST_ACCOUNT}` is in `{path}`: log in, then delete it"
        ));
    }
    let sentence = format!(
        "{institution} is set up in {}; its key has the fingerprint {fingerprint}. Run `concordat serve`.",
        context.dir.display()
    );
    let report = CreatedNode {
        institution,
        node: created.node,
        fingerprint,
        dir: &context.dir,
        administrator: FIRST_ACCOUNT,
        key_file: created.made_key_file,
        password_file: created.made_password_file,
    };
    context.out.done(&sentence, &report)?;
    next_steps(context);
    Ok(())
}

/// What a person does with a new node, in this order.
fn next_steps(context: &Context) {
    if context.out.format() != Format::Table {
        return;
    }
    for step in [
        format!(
            "next, each with `--dir '{}'` or CONCORDAT_DIR if that is not the usual directory:",
            context.dir.display()
        ),
        "1. `concordat serve` runs the node".to_owned(),
        format!("2. `concordat login {FIRST_ACCOUNT}`, in another terminal"),
        "3. `concordat user add NAME --role steward` (and `--role researcher`) creates an account for each person"
            .to_owned(),
        "4. `concordat dataset inspect FILE` and `concordat dataset import`, as a steward".to_owned(),
        "5. `concordat consortium found` or `concordat consortium join ROSTER`, to share data with other institutions"
            .to_owned(),
        "`concordat doctor` shows what is missing".to_owned(),
    ] {
        context.out.note(&step);
    }
}

/// The new node, for programs.
#[derive(Serialize)]
struct CreatedNode<'a> {
    institution: InstitutionId,
    node: NodeId,
    fingerprint: String,
    dir: &'a Path,
    administrator: &'static str,
    key_file: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

/// The given ranges, or the default ranges if none were given.
pub(crate) fn dial_ranges(given: Vec<DialRange>) -> Vec<DialRange> {
    if given.is_empty() {
        Dialing::default_ranges()
    } else {
        given
    }
}

fn unlock(
    key_file: Option<PathBuf>,
    credential: Option<String>,
    (unattended, out): (bool, &Output),
) -> Result<Unlock, Problem> {
    match (credential, key_file) {
        (Some(name), _) => Ok(Unlock::Credential(name)),
        (None, Some(path)) => Ok(Unlock::KeyFile(path)),
        (None, None) if unattended => Ok(Unlock::MakeKeyFile),
        (None, None) => {
            let check = |secret: &Secret| Passphrase::check(secret).map_err(Problem::from);
            let what = "passphrase that unlocks the node";
            secrets::chosen(what, &Passphrase::rule(), check, out).map(Unlock::Passphrase)
        }
    }
}
