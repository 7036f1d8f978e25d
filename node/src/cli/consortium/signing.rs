//! Signing as a holder of the charter: first what changes, then the signature.

use std::path::Path;

use serde_json::{Value, json};

use super::file_body;
use crate::cli::context::Context;
use crate::cli::output::Format;
use crate::cli::prompt;
use crate::json::Field as _;
use concordat_documents::problem::Problem;

/// Shows what the document of `kind` in `file` would change.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn review(kind: &str, file: &Path, context: &Context) -> Result<(), Problem> {
    let review = reviewed(kind, &file_body(file)?, context).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&review);
    }
    context.out.text(&format!("digest {}\n", review.text("digest")))
}

/// Signs the document of `kind` in `file`, once the person has seen what it changes: they confirm it at the terminal, or give its
/// digest with `expect`.
///
/// # Errors
/// If it is not confirmed, is another document than the one expected, or the problem that the node returned.
pub(super) async fn sign(kind: &str, file: &Path, expect: Option<String>, context: &Context) -> Result<Value, Problem> {
    // The file is read once: what is reviewed is what is signed.
    let mut body = file_body(file)?;
    let review = reviewed(kind, &body, context).await?;
    let digest = review.text("digest");
    let expect = match expect {
        Some(expect) => expect,
        None => {
            let first: String = digest.chars().take(8).collect();
            let prompt_text = format!("type the first eight characters of its digest, {first}, to sign it");
            prompt::confirm_or(
                &prompt_text,
                &first,
                &format!("add `--expect {digest}` once you have read what changes"),
            )?;
            digest
        }
    };
    if let Some(body) = body.as_object_mut() {
        body.insert("expect".to_owned(), json!(expect));
    }
    context
        .client()?
        .post(&format!("/v1/consortium/{kind}/sign"), &body)
        .await
}

async fn reviewed(kind: &str, body: &Value, context: &Context) -> Result<Value, Problem> {
    let review: Value = context
        .client()?
        .post(&format!("/v1/consortium/{kind}/review"), body)
        .await?;
    let (signatures, needed) = (review.at("signatures"), review.at("needed"));
    context.out.note(&format!(
        "this {kind}, signed by {signatures} of {needed} holders, differs as follows from what this node has:"
    ));
    for change in review.at("changes").as_array().into_iter().flatten() {
        context.out.note(&format!("  {}", change.as_str().unwrap_or_default()));
    }
    Ok(review)
}
