//! The settings of a store, and the conversion of its errors. Its behavior with a real server is tested in
//! `tests/scenarios/object_store.rs`.

use super::*;

pub(crate) mod other_kinds;

#[test]
fn s3_url_is_a_bucket_and_a_plain_prefix() {
    for (text, bucket, prefix) in [
        ("s3://heart", "heart", ""),
        ("s3://heart-study.eu/", "heart-study.eu", ""),
        ("s3://heart/a/b_2.c", "heart", "a/b_2.c"),
        ("s3://heart/a/", "heart", "a"),
    ] {
        let url: S3Url = text.parse().unwrap();
        assert_eq!((url.bucket(), url.prefix()), (bucket, prefix), "{text}");
        assert_eq!(url.to_string().parse::<S3Url>().unwrap(), url);
    }
    for text in [
        "heart",
        "s3://",
        "s3://ab",
        "s3://Heart",
        "s3://-heart",
        "s3://heart//a",
        "s3://heart/../a",
        "s3://heart/a b",
        "s3://heart/ä",
        "https://heart/a",
        "s3://key:secret@heart",
    ] {
        assert_eq!(text.parse::<S3Url>(), Err(InvalidLocation::Url), "{text}");
    }
}

#[test]
fn endpoint_without_tls_is_rejected_unless_allowed() {
    let plain = |text, allowed| Endpoint::new(text, allowed).map(|endpoint| endpoint.is_plain());
    assert_eq!(plain("https://s3.example.org", PlainHttp::Refused), Ok(false));
    assert_eq!(plain("https://[::1]:9000/", PlainHttp::Refused), Ok(false));
    assert_eq!(
        plain("http://127.0.0.1:9000", PlainHttp::Refused),
        Err(InvalidLocation::Plain)
    );
    for here in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000"] {
        assert_eq!(plain(here, PlainHttp::Loopback), Ok(true), "{here}");
    }
    for there in [
        "http://10.0.0.1",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
    ] {
        assert_eq!(
            plain(there, PlainHttp::Loopback),
            Err(InvalidLocation::Plain),
            "{there}"
        );
        assert_eq!(plain(there, PlainHttp::DangerAnywhere), Ok(true), "{there}");
    }
    for text in [
        "s3.example.org",
        "ftp://h",
        "https://",
        "https://h:port",
        "https://u:p@h",
        "https://h/path",
        "https://h?x",
    ] {
        assert_eq!(
            plain(text, PlainHttp::DangerAnywhere),
            Err(InvalidLocation::Endpoint),
            "{text}"
        );
    }
}

#[test]
fn store_error_text_is_limited_to_one_line_and_700_characters() {
    let source = Box::new(std::io::Error::other(format!("one\ntwo\u{1b}[31m{}", "x".repeat(5000))));
    let text = StoreReply::new(&object_store::Error::Generic { store: "s", source }).to_string();
    assert!(text.starts_with("Generic s error: one two [31m"), "{text}");
    assert_eq!(text.chars().count(), 700);
}
