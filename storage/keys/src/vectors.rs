//! Published test vectors for ciphers, key derivation and signatures, run through the code paths of the product. SHA-256 and
//! BLAKE3 by themselves are not tested here.
//!
//! Wycheproof, RFC 9106, RFC 5869 and RFC 8032 are in the shared data folder; without it those tests report that they are
//! skipped.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use concordat_protocol::identity::{InstitutionPublicKey, NodeKey, PrivateKey, PublicKey};
use data_encoding::HEXLOWER;
use flate2::read::GzDecoder;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{Argon2Cost, ObjectCipher, Suite, data::ObjectKey, raw::RawKey, wrap::open};

fn shared(file: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned();
    let folder = std::env::var("CONCORDAT_SHARED_DATA").unwrap_or(default);
    let path = Path::new(&folder).join(file);
    if !path.exists() {
        eprintln!("skipped: `{file}` is not in `{folder}`; set CONCORDAT_SHARED_DATA to the shared data folder");
        return None;
    }
    Some(path)
}

fn unzipped(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// The cases of a Wycheproof file with the group of each; empty if the folder is missing.
fn wycheproof(name: &str) -> Vec<(Value, Value)> {
    let Some(path) = shared(&format!("crypto-wycheproof/{name}_test.json.gz")) else {
        return Vec::new();
    };
    let file: Value = serde_json::from_str(&unzipped(&path)).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            cases.push((group.clone(), case.clone()));
        }
    }
    assert!(!cases.is_empty(), "{name} has no cases");
    cases
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Our keys always have 32 bytes, nonces 12 and tags 16; cases of other sizes are skipped.
fn aead(name: &str, suite: Suite, expected: usize) {
    let mut count = 0;
    for (group, case) in wycheproof(name) {
        let sizes = ["keySize", "ivSize", "tagSize"].map(|field| group[field].as_u64().unwrap());
        if sizes != [256, 96, 128] {
            continue;
        }
        let cipher = ObjectCipher::new(suite, &ObjectKey::of(hex(&case["key"]).try_into().unwrap()));
        let nonce: [u8; 12] = hex(&case["iv"]).try_into().unwrap();
        let aad = hex(&case["aad"]);
        let plain = hex(&case["msg"]);
        let mut block = hex(&case["ct"]);
        let tag = hex(&case["tag"]).try_into().unwrap();
        let opened = cipher.open(nonce, &aad, &mut block, &tag).is_ok();
        let valid = case["result"] == "valid";
        assert_eq!(opened, valid, "{name} {}", case["tcId"]);
        if valid {
            assert_eq!(block, plain, "{name} {}", case["tcId"]);
            let sealed = cipher.seal(nonce, &aad, &mut block).unwrap();
            assert_eq!((block, sealed), (hex(&case["ct"]), tag), "{name} {}", case["tcId"]);
        }
        count += 1;
    }
    assert!(count == 0 || count >= expected, "only {count} cases of {name}");
    println!("{name}: {count} cases");
}

#[test]
fn sealed_blocks_agree_with_wycheproof() {
    aead("aes_gcm", Suite::Aes256Gcm, 60);
    aead("chacha20_poly1305", Suite::ChaCha20Poly1305, 250);
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn small_sealed_values_agree_with_the_draft_of_xchacha() {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let key = RawKey::from_opened(&(0x80..0xa0).collect::<Vec<u8>>()).unwrap();
    let nonce: Vec<u8> = (0x40..0x58).collect();
    let sealed = hex(concat!(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216",
        "cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13",
        "b52ec0875924c1c7987947deafd8780acf49"
    ));
    let aad = hex("50515253c0c1c2c3c4c5c6c7");
    let whole = [&[1][..], &nonce, &sealed].concat();
    let plain = open(&key, &aad, &whole, "vector").unwrap();
    let text = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    assert_eq!(plain.as_slice(), text.as_bytes());
    open(&key, b"", &whole, "vector").unwrap_err();
}

/// Our keys are 32 bytes long, so of longer outputs only the first 32 bytes are compared.
#[test]
fn derived_keys_agree_with_wycheproof_and_rfc_5869() {
    let mut count = 0;
    for (_, case) in wycheproof("hkdf_sha256") {
        let salt = hex(&case["salt"]);
        let info = hex(&case["info"]);
        let material = hex(&case["ikm"]);
        if case["result"] != "valid" {
            continue;
        }
        let expected = hex(&case["okm"]);
        let derived = RawKey::derive_with(&material, &salt, &[&info]);
        let len = expected.len().min(32);
        assert_eq!(derived.bytes()[..len], expected[..len], "hkdf {}", case["tcId"]);
        count += 1;
    }
    assert!(count == 0 || count > 70, "only {count} cases");
    println!("hkdf_sha256: {count} cases");
}

#[test]
fn passphrases_agree_with_rfc_9106() {
    let Some(path) = shared("crypto-cryptography-vectors/KDF_argon2id.txt") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for paragraph in text.split("\n\n").filter(|paragraph| paragraph.starts_with("COUNT")) {
        let fields: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        // Our hashes use no secret key and no associated data.
        if fields.contains_key("secret") || fields.contains_key("ad") {
            continue;
        }
        let number = |name: &str| fields[name].parse::<u32>().unwrap();
        let bytes = |name: &str| HEXLOWER.decode(fields[name].as_bytes()).unwrap();
        let cost = Argon2Cost {
            memory_kib: number("memcost"),
            passes: number("iter"),
            lanes: number("lanes"),
        };
        let mut out = vec![0; number("length").try_into().unwrap()];
        let hashed = cost
            .hasher()
            .unwrap()
            .hash_password_into(&bytes("pass"), &bytes("salt"), &mut out);
        hashed.unwrap();
        assert_eq!(out, bytes("output"), "{paragraph}");
        count += 1;
    }
    assert!(count >= 2, "only {count} cases");
    println!("argon2id: {count} cases");
}

#[test]
fn signatures_agree_with_wycheproof_and_rfc_8032() {
    let mut count = 0;
    for (group, case) in wycheproof("ed25519") {
        let key = InstitutionPublicKey::from_bytes(hex(&group["publicKey"]["pk"]).try_into().unwrap());
        let verified = key.is_ok_and(|key| key.verifies(&hex(&case["msg"]), &hex(&case["sig"])));
        assert_eq!(verified, case["result"] == "valid", "ed25519 {}", case["tcId"]);
        count += 1;
    }
    println!("ed25519: {count} cases");
    let Some(path) = shared("crypto-cryptography-vectors/asymmetric_Ed25519_sign.input.gz") else {
        return;
    };
    let mut signed = 0;
    for line in unzipped(&path).lines() {
        let fields: Vec<Vec<u8>> = line
            .split(':')
            .map(|field| HEXLOWER.decode(field.as_bytes()).unwrap())
            .collect();
        let seed: [u8; 32] = fields[0][..32].try_into().unwrap();
        let key = NodeKey::from_seed(&Zeroizing::new(seed));
        assert_eq!(key.sign(&fields[2]), fields[3][..64], "{line}");
        assert!(key.public().verifies(&fields[2], &fields[3][..64]));
        signed += 1;
    }
    assert!(signed > 1000 && count > 140, "only {signed} and {count} cases");
    println!("ed25519 signing: {signed} cases");
}
