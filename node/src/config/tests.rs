#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one variant it looks for"
)]

use super::*;

const SMALLEST: &str = r#"
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
    match parse(text).unwrap_err() {
        ConfigError::Mistakes { mistakes, .. } => mistakes.iter().map(Mistake::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(SMALLEST).unwrap();
    assert_eq!(config.node.listen, Config::listen_at(7400));
    assert_eq!(config.node.listen[1].to_string(), "/ip4/0.0.0.0/udp/7400/quic-v1");
    assert_eq!(config.log, LogSection::default());
    assert_eq!(config.limits, LimitsSection::default());
    assert_eq!(config.keys, KeysFrom::File(PathBuf::from("unlock.key")));
}

#[test]
fn what_is_written_is_read_back() {
    let mut config = parse(SMALLEST).unwrap();
    config.node.name = LegalName::new("The \"Heart\" of Zürich \\ Ltd").unwrap();
    config.node.announce = vec!["/dns4/node.example.org/tcp/7400".parse().unwrap()];
    config.log.format = LogFormat::Json;
    config.limits.streams = 7;
    assert_eq!(parse(&config.to_string()).unwrap(), config);
    let place = concordat_storage::keys::TokenPlace {
        module: "/usr/lib/softhsm/libsofthsm2.so".into(),
        token: "a \"vault\"".into(),
        key: "concordat".into(),
    };
    let token = |pin| KeysFrom::Token {
        place: place.clone(),
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
fn an_empty_file_says_what_is_needed() {
    let found = mistakes("");
    assert!(found.contains(&"`node.institution` is missing".to_owned()), "{found:?}");
    assert!(found.contains(&"`keys.source` is missing".to_owned()), "{found:?}");
}

#[test]
fn a_directory_without_a_node_is_told_from_an_unreadable_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::NoNode { .. })));
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn a_source_of_keys_has_its_own_setting_and_no_other() {
    let with = |keys: &str| SMALLEST.split("[keys]").next().unwrap().to_owned() + "[keys]\n" + keys;
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
