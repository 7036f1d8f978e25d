//! SQL that a researcher sends: no text makes the check panic or overflow the stack, and only a `SELECT` passes.

#![no_main]

mod bounded;

use std::sync::LazyLock;

use concordat_engine::is_admitted;
use concordat_protocol::ids::DatasetRef;
use libfuzzer_sys::fuzz_target;

static DATASET: LazyLock<DatasetRef> = LazyLock::new(|| "cleveland/heart".parse().expect("a dataset"));

fuzz_target!(|text: &str| {
    if is_admitted(text, &DATASET, &["age", "sex", "chol"]) {
        let lower = text.to_ascii_lowercase();
        assert!(lower.contains("select") && lower.contains("heart"), "`{text}` passes");
    }
});
