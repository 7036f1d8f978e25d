//! Signing as a holder of the charter: first what changes, then the signature.

use std::fmt;
use std::path::Path;

use concordat_documents::consortium::{DocumentReview, FileContent, IssuedChange, SignatureRequest};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::Digest32;

use super::file;
use crate::context::Context;
use crate::output::Format;
use crate::prompt;

/// What holders of the charter sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signable {
    /// A roster.
    Roster,
    /// A change of the charter.
    Charter,
}

impl fmt::Display for Signable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Roster => "roster",
            Self::Charter => "charter",
        })
    }
}

/// Shows what the document of `kind` in a file would change.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn review(kind: Signable, path: &Path, context: &Context) -> Result<(), Problem> {
    let review = reviewed(kind, &file::read(path)?, context).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&review);
    }
    context.out.text(&format!("digest {}\n", review.digest))
}

/// Signs the document of `kind` in a file, once the person has seen what it changes: they confirm it at the terminal, or give its
/// digest with `expect`.
///
/// # Errors
/// If it is not confirmed, is another document than the one expected, or the problem that the node returned.
pub(super) async fn sign(
    kind: Signable,
    path: &Path,
    expect: Option<Digest32>,
    context: &Context,
) -> Result<IssuedChange, Problem> {
    // The file is read once: what is reviewed is what is signed.
    let content = file::read(path)?;
    let digest = reviewed(kind, &content, context).await?.digest;
    let expect = match expect {
        Some(expect) => expect,
        None => {
            let first = digest.short();
            prompt::confirm_or(
                &format!("type the first eight characters of its digest, {first}, to sign it"),
                &first,
                &format!("add `--expect {digest}` once you have read what changes"),
            )?;
            digest
        }
    };
    let request = SignatureRequest {
        file: content.file,
        expect,
    };
    let path = format!("/v1/consortium/{kind}/sign");
    context.client()?.post(&path, &request).await
}

async fn reviewed(kind: Signable, content: &FileContent, context: &Context) -> Result<DocumentReview, Problem> {
    let path = format!("/v1/consortium/{kind}/review");
    let review: DocumentReview = context.client()?.post(&path, content).await?;
    let signatures = review.signatures;
    let needed = review.needed;
    context.out.note(&format!(
        "this {kind}, signed by {signatures} of {needed} holders, differs as follows from what this node has:"
    ));
    for change in &review.changes {
        context.out.note(&format!("  {change}"));
    }
    Ok(review)
}
