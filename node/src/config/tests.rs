use crate::config::error::Mistake;
use concordat_protocol::text::LegalName;
use concordat_storage::objects::ObjectLocation;

use super::*;

const MINIMAL: &str = r#"
[node]
institution = "cleveland"
name = "Cleveland Heart Hospital"
jurisdiction = "US"

[keys]
source = "file"
file = "unlock.key"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("concordat.toml"))
}

fn mistakes(text: &str) -> Vec<String> {
    let error = parse(text).unwrap_err();
    let ConfigError::Mistakes { mistakes, .. } = &error else {
        panic!("{error}")
    };
    mistakes.iter().map(Mistake::to_string).collect()
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.node.listen, NodeSection::listen_at(7400));
    assert_eq!(config.node.listen[1].to_string(), "/ip4/0.0.0.0/udp/7400/quic-v1");
    assert_eq!(config.log, LogSection::default());
    assert_eq!(config.limits, LimitsSection::default());
    assert_eq!(config.keys, KeysFrom::File(PathBuf::from("unlock.key")));
    assert_eq!(config.storage, StorageSection::Local);
}

#[test]
fn what_is_written_is_read_back() {
    let mut config = parse(MINIMAL).unwrap();
    config.node.name = LegalName::new("The \"Heart\" of Zürich \\ Ltd").unwrap();
    config.node.announce = vec!["/dns4/node.example.org/tcp/7400".parse().unwrap()];
    config.log.format = LogFormat::Json;
    config.limits.streams = 7;
    assert_eq!(parse(&config.to_string()).unwrap(), config);
    let location = concordat_keys::TokenLocation {
        module: "/usr/lib/softhsm/libsofthsm2.so".into(),
        token: "a \"vault\"".into(),
        key: "concordat".into(),
    };
    let token = |pin| KeysFrom::Token {
        location: location.clone(),
        pin,
    };
    for keys in [
        KeysFrom::Passphrase,
        KeysFrom::Credential("concordat.key".into()),
        token(PinFrom::Prompt),
        token(PinFrom::File("/run/secrets/pin".into())),
        token(PinFrom::Credential("concordat.pin".into())),
    ] {
        config.keys = keys;
        assert_eq!(parse(&config.to_string()).unwrap(), config);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = mistakes(
        r#"
        [node]
        institution = "Cleveland Clinic"
        name = "Cleveland"
        listen = ["/ip4/0.0.0.0/tcp/7400", "localhost:7400", 7]
        listne = []
        [keys]
        source = "file"
        [log]
        level = "loud"
        [limits]
        streams = 0
        [nodes]
        "#,
    );
    let keys: Vec<&str> = found.iter().map(|line| line.split('`').nth(1).unwrap()).collect();
    let expected = [
        "node.institution",
        "node.jurisdiction",
        "node.listen[1]",
        "node.listen[2]",
        "node.listne",
        "keys.file",
        "log.level",
        "limits.streams",
        "nodes",
    ];
    assert_eq!(keys, expected, "{found:#?}");
}

#[test]
fn config_empty_file_lists_required_settings() {
    let found = mistakes("");
    assert!(found.contains(&"`node.institution` is missing".to_owned()), "{found:?}");
    assert!(found.contains(&"`keys.source` is missing".to_owned()), "{found:?}");
}

#[test]
fn config_missing_node_differs_from_unreadable_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::NoNode { .. })));
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn config_key_source_accepts_only_its_own_settings() {
    let with = |keys: &str| MINIMAL.split("[keys]").next().unwrap().to_owned() + "[keys]\n" + keys;
    for (keys, wrong) in [
        ("source = \"credential\"", "keys.name"),
        ("source = \"credential\"\nname = \"../unlock.key\"", "keys.name"),
        ("source = \"credential\"\nname = \"k\"\nfile = \"f\"", "keys.file"),
        ("source = \"passphrase\"\nname = \"k\"", "keys.name"),
        ("source = \"file\"", "keys.file"),
        ("source = \"file\"\nfile = \"f\"\nname = \"k\"", "keys.name"),
        ("source = \"environment\"", "keys.source"),
        ("source = \"file\"\nfile = \"f\"\npin_file = \"p\"", "keys.pin_file"),
        ("source = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"t\"", "keys.key"),
        (
            "source = \"pkcs11\"\nmodule = \"\"\ntoken = \"t\"\nkey = \"k\"",
            "keys.module",
        ),
        (
            "source = \"pkcs11\"\nmodule = \"m.so\"\ntoken = \"t\"\nkey = \"k\"",
            "keys.module",
        ),
        (
            "source = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"t\"\nkey = \"k\"\npin = \"1234\"",
            "keys.pin",
        ),
        (
            "source = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"t\"\nkey = \"k\"\npin_file = \"p\"\npin_credential = \"c\"",
            "keys.pin_file",
        ),
        (
            "source = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"t\"\nkey = \"k\"\npin_credential = \"../c\"",
            "keys.pin_credential",
        ),
    ] {
        let found = mistakes(&with(keys));
        let named = format!("`{wrong}`");
        assert!(found.iter().all(|line| line.starts_with(&named)), "{keys}: {found:?}");
    }
}

const STORE: &str = r#"
[storage]
objects = "s3://hospital/cleveland"
credentials = "store.key"
"#;

fn store(more: &str) -> Result<Config, ConfigError> {
    parse(&format!("{MINIMAL}{STORE}{more}"))
}

#[test]
fn config_store_requires_address_and_key_only() {
    let config = store("").unwrap();
    let StorageSection::S3(found) = &config.storage else {
        panic!("{config:?}")
    };
    assert_eq!((found.url.bucket(), found.url.prefix()), ("hospital", "cleveland"));
    assert_eq!((found.request_timeout, found.retries), (30, 4));
    assert_eq!(found.region.as_str(), "us-east-1");
    let ObjectLocation::S3(location) = config.storage.location(Path::new("/data")).unwrap() else {
        panic!("{config:?}")
    };
    assert_eq!(
        location.credentials,
        Path::new("/data/store.key"),
        "relative to the data directory"
    );
    assert_eq!(location.request_timeout, std::time::Duration::from_secs(30));
    assert_eq!(
        parse(&config.to_string()).unwrap(),
        config,
        "what is written is read back"
    );
}

#[test]
fn every_setting_of_a_store_is_written_as_it_was_read() {
    let config = store(
        "endpoint = \"http://127.0.0.1:9000\"\nplain_http = \"loopback\"\nregion = \"eu-1\"\nrequest_timeout = 5\nretries = 0\n",
    )
    .unwrap();
    assert_eq!(parse(&config.to_string()).unwrap(), config);
    let text = MINIMAL.to_owned() + &STORE.replace("credentials = \"store.key\"", "credential = \"store\"");
    let config = parse(&text).unwrap();
    assert_eq!(parse(&config.to_string()).unwrap(), config);
    let error = config.storage.location(Path::new("/data")).unwrap_err();
    assert!(matches!(error, ConfigError::NoCredentials { .. }), "{error}");
}

#[test]
fn mistakes_about_a_store_are_all_reported_at_once() {
    let found = mistakes(&format!(
        "{MINIMAL}[storage]\nobjects = \"s3://Hospital\"\nendpoint = \"here\"\nplain_http = \"yes\"\nregion = 7\n\
         request_timeout = 0\nretries = -1\nbucket = 1\n"
    ));
    let keys: Vec<&str> = found.iter().map(|line| line.split('`').nth(1).unwrap()).collect();
    let expected = [
        "storage.objects",
        "storage.plain_http",
        "storage.endpoint",
        "storage.region",
        "storage.credentials",
        "storage.request_timeout",
        "storage.retries",
        "storage.bucket",
    ];
    assert_eq!(keys, expected, "{found:#?}");
}

#[test]
fn plain_http_and_settings_without_a_store_are_mistakes() {
    let store_at = |endpoint: &str, plain: &str| {
        store(&format!("endpoint = \"{endpoint}\"\nplain_http = \"{plain}\"\n")).map(drop)
    };
    assert!(matches!(
        store("endpoint = \"http://127.0.0.1:9000\"\n"),
        Err(ConfigError::Mistakes { .. })
    ));
    assert!(store_at("http://10.0.0.1", "loopback").is_err());
    store_at("http://127.0.0.1:9000", "loopback").unwrap();
    store_at("http://10.0.0.1", "danger-anywhere").unwrap();
    let found = mistakes(&format!("{MINIMAL}[storage]\nregion = \"eu-1\"\n"));
    assert_eq!(
        found,
        ["`storage.region` is set, but `storage.objects` does not name a store"]
    );
    let both = mistakes(&format!("{MINIMAL}{STORE}credential = \"store\"\n"));
    assert!(both[0].contains("names a file already"), "{both:?}");
}
