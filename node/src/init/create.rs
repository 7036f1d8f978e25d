//! Creates a new node, with keys and a first account of its own.

use std::path::PathBuf;

use concordat_documents::problem::Problem;
use concordat_keys::{Argon2Cost, KeyFile, KeyProvider, Secret};
use concordat_protocol::{
    audit::EntryBody,
    identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey},
    ids::{ActorId, NodeId},
    query::Role,
    text::Label,
    time::Timestamp,
};
use concordat_storage::data_dir::Storage;
use data_encoding::{BASE32_NOPAD, BASE64};
use zeroize::Zeroizing;

use super::site::Site;
use super::socket_path::check_socket_path;
use super::unlock::{Unlock, new_provider};
use crate::{
    attribution::by_this_account,
    config::{self, Config, KeysFrom},
    iam::{Accounts, MIN_PASSWORD_CHARS, check_password},
    policies,
    start_state::StartState,
};

/// Name of the first account.
pub const FIRST_ACCOUNT: &str = "administrator";
/// Name of the key file that is created if no secret is given.
pub(crate) const MADE_KEY_FILE: &str = "unlock.key";
/// Name of the file with the first password if none is given.
pub(crate) const MADE_PASSWORD_FILE: &str = "administrator.password";

/// What to create.
#[derive(Debug)]
pub struct Plan {
    /// The data directory.
    pub dir: PathBuf,
    /// The configuration to write; its `[keys]` section follows from `unlock`.
    pub config: Config,
    /// What unlocks it.
    pub unlock: Unlock,
    /// Password of the first account; if `None`, one is generated and written to a file.
    pub password: Option<Secret>,
    /// The Argon2 cost of passphrase and password.
    pub cost: Argon2Cost,
}

/// What was created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The node's id.
    pub node: NodeId,
    /// The institution's key.
    pub institution_key: InstitutionPublicKey,
    /// The key file, if one was created.
    pub made_key_file: Option<PathBuf>,
    /// The file with the generated password, if one was generated.
    pub made_password_file: Option<PathBuf>,
}

/// What the password of the first account has to be like.
#[must_use]
pub fn first_password_rule() -> String {
    format!("at least {MIN_PASSWORD_CHARS} characters, of which the name of the account does not count")
}

/// Checks a password for the first account before anything is created.
///
/// # Errors
/// `usage` if it is too short or too long.
pub fn check_first_password(password: &Secret) -> Result<(), Problem> {
    check_password(FIRST_ACCOUNT, password).map_err(Problem::from)
}

/// Creates a node. Blocks; hashing passphrase and password takes time.
///
/// # Errors
/// If the directory is not empty, its path is too long for a socket in it, a secret is too weak or writing fails; nothing is left
/// behind then, except a key that was created in a token.
pub fn init(plan: Plan, now: Timestamp) -> Result<Created, Problem> {
    check_socket_path(&plan.dir)?;
    let site = Site::prepare(&plan.dir)?;
    let Plan {
        dir,
        mut config,
        unlock,
        password,
        cost,
    } = plan;
    let made_key_file = matches!(unlock, Unlock::MakeKeyFile).then(|| dir.join(MADE_KEY_FILE));
    let (provider, keys) = match unlock {
        Unlock::MakeKeyFile => make_key_file(&site)?,
        Unlock::Passphrase(_) | Unlock::KeyFile(_) | Unlock::Credential(_) | Unlock::Token { .. } => {
            new_provider(unlock, cost)?
        }
    };
    config.keys = keys;
    let (password, made_password_file) = match password {
        Some(password) => (password, None),
        None => (make_password(&site)?, Some(dir.join(MADE_PASSWORD_FILE))),
    };
    let (institution_key, node) = {
        let storage = Storage::init(site.path(), provider.as_ref())?;
        let keys = make_keys(&storage, &site)?;
        begin_ledger(&storage, &config, &keys, &password, cost, now)?;
        (keys.0.public(), keys.1.public())
    };
    site.write(config::FILE, config.to_string().as_bytes())?;
    site.move_to_target()?;
    Ok(Created {
        node,
        institution_key,
        made_key_file,
        made_password_file,
    })
}

/// Creates a key file in the data directory. It is named by its file name, so that the directory can be moved.
fn make_key_file(site: &Site) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    let key = Zeroizing::new(BASE64.encode(&random::<32>()?[..]));
    site.write(MADE_KEY_FILE, format!("{}\n", key.as_str()).as_bytes())?;
    let keys = KeysFrom::File(PathBuf::from(MADE_KEY_FILE));
    Ok((Box::new(KeyFile::new(site.path().join(MADE_KEY_FILE))), keys))
}

/// 160 random bits in base 32, which can be read aloud and typed.
fn make_password(site: &Site) -> Result<Secret, Problem> {
    let password = Zeroizing::new(BASE32_NOPAD.encode(&random::<20>()?[..]).to_lowercase());
    site.write(MADE_PASSWORD_FILE, format!("{}\n", password.as_str()).as_bytes())?;
    Ok(Secret::from(password.as_bytes().to_vec()))
}

/// Creates and seals both keys and writes their public halves.
fn make_keys(storage: &Storage, site: &Site) -> Result<(InstitutionKey, NodeKey), Problem> {
    let institution = InstitutionKey::from_seed(&random()?);
    let node = NodeKey::from_seed(&random()?);
    storage.identities().put_institution(&institution)?;
    storage.identities().put_node(&node)?;
    site.write(
        "identity/institution.pub",
        format!("{}\n", institution.public()).as_bytes(),
    )?;
    site.write("identity/node.pub", format!("{}\n", node.public()).as_bytes())?;
    Ok((institution, node))
}

/// Writes the first entries of the ledger, each before the object that it records is created.
fn begin_ledger(
    storage: &Storage,
    config: &Config,
    (institution_key, node_key): &(InstitutionKey, NodeKey),
    password: &Secret,
    cost: Argon2Cost,
    now: Timestamp,
) -> Result<(), Problem> {
    let institution = config.node.institution.clone();
    let ledger = storage.open_ledger(institution.clone())?;
    let initialized = EntryBody::NodeInitialized {
        institution: institution.clone(),
        node: node_key.public(),
        key: institution_key.public(),
    };
    let by = by_this_account();
    drop(ledger.append(initialized, &by, now)?);
    StartState::open(storage.meta())?.accept_configuration(config, &ledger, &by, now)?;
    policies::begin(storage.meta(), &ledger, (&institution, institution_key, now), &by)?;
    let roles = Role::ALL.map(|role| Label::sanitized(role.as_str())).to_vec();
    let actor = ActorId::at(FIRST_ACCOUNT, &institution)?;
    drop(ledger.append(EntryBody::UserAdded { actor, roles }, &by, now)?);
    let accounts = Accounts::open(storage.meta(), institution, cost)?;
    accounts.add(FIRST_ACCOUNT, Role::ALL.into_iter().collect(), password, now)?;
    ledger.checkpoint(institution_key, now)?;
    Ok(())
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Problem> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Problem::internal("the system's random number generator failed", &error))?;
    Ok(bytes)
}
