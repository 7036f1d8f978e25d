//! What a command prints when it is refused.

use std::fmt;

use serde::Deserialize;

/// The object that a refused command prints on standard error.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Refusal {
    title: String,
    detail: String,
    reasons: Vec<String>,
    help: Option<String>,
}

/// One sentence, with the reasons and what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![self.title.clone(), self.detail.clone()];
        parts.extend(self.reasons.iter().cloned());
        parts.extend(self.help.iter().map(|help| format!("what to do: {help}")));
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_one_sentence_without_repetition() {
        let printed = r#"{ "code": "denied", "title": "this is not permitted", "detail": "the purpose is not covered",
            "reasons": ["the purpose is not covered", "clinical-care"], "help": "request a grant" }"#;
        let refusal: Refusal = serde_json::from_str(printed).unwrap();
        assert_eq!(
            refusal.to_string(),
            "this is not permitted; the purpose is not covered; clinical-care; what to do: request a grant"
        );
        let short = r#"{ "code": "locked", "title": "a login is missing", "detail": "", "reasons": [], "help": null }"#;
        let refusal: Refusal = serde_json::from_str(short).unwrap();
        assert_eq!(refusal.to_string(), "a login is missing");
    }
}
