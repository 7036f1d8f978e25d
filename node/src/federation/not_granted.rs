//! What may have been meant by a table for which there is no grant: one of another name that is granted, or another member.

use concordat_engine::similar_names;
use concordat_protocol::ids::{DatasetRef, InstitutionId};

/// Most names that are listed.
const MOST: usize = 12;

/// Why there is no grant for a dataset, and what to do; `None` as the latter if only a request is left.
pub(super) struct NotGranted {
    pub(super) reason: String,
    pub(super) help: Option<String>,
}

/// Of `dataset`, for which there was never a grant. `granted` are the datasets of all grants to this institution, and `members` are the
/// others of the consortium, empty if these are not known.
pub(super) fn not_granted(dataset: &DatasetRef, granted: &[DatasetRef], members: &[InstitutionId]) -> NotGranted {
    let institution = &dataset.institution;
    if !members.is_empty() && !members.contains(institution) {
        let names: Vec<&str> = members.iter().map(InstitutionId::as_str).collect();
        return NotGranted {
            reason: format!("`{institution}` is not an active member of the consortium"),
            help: Some(format!("the other members are {}", list(institution.as_str(), &names))),
        };
    }
    let reason = "none was ever agreed".to_owned();
    let beside: Vec<&str> = granted
        .iter()
        .filter(|other| other.collection() == dataset.collection())
        .map(|other| other.dataset.as_str())
        .collect();
    if !beside.is_empty() {
        let datasets = list(dataset.dataset.as_str(), &beside);
        let help = format!("your grants of `{}` are for {datasets}", dataset.collection());
        return NotGranted {
            reason,
            help: Some(help),
        };
    }
    NotGranted {
        reason,
        help: elsewhere(dataset, granted),
    }
}

/// What to do about a table of all members that no grant is for: the tables of all members with similar names; `None` without any.
pub(super) fn similar_of_all(table: &str, granted: &[DatasetRef]) -> Option<String> {
    let of_all = |dataset: &DatasetRef| {
        let shown = dataset.to_string();
        shown.split_once('.').map(|(_, rest)| format!("consortium.{rest}"))
    };
    let names: Vec<String> = granted.iter().filter_map(of_all).collect();
    let similar = similar_names(table, names.iter().map(String::as_str));
    (!similar.is_empty()).then(|| format!("did you mean `{}`?", similar.join("` or `")))
}

/// The datasets of other collections of the institution with this name, or with a similar one.
fn elsewhere(dataset: &DatasetRef, granted: &[DatasetRef]) -> Option<String> {
    let there = granted.iter().filter(|other| other.institution == dataset.institution);
    let there: Vec<&DatasetRef> = there.collect();
    let of_name = there.iter().filter(|other| other.dataset == dataset.dataset);
    let mut meant: Vec<String> = of_name.map(ToString::to_string).collect();
    if meant.is_empty() {
        let names: Vec<String> = there.iter().map(ToString::to_string).collect();
        meant = similar_names(&dataset.to_string(), names.iter().map(String::as_str));
    }
    meant.sort_unstable();
    meant.dedup();
    if meant.is_empty() {
        return None;
    }
    let request = format!(
        "concordat grant request {}/{} --purpose PURPOSE --until DATE",
        dataset.institution, dataset.collection
    );
    Some(format!(
        "did you mean `{}`? otherwise `{request}`",
        meant.join("` or `")
    ))
}

/// Names in backticks, with those that are similar to `name`.
fn list(name: &str, known: &[&str]) -> String {
    let mut names = known.to_vec();
    names.sort_unstable();
    names.dedup();
    let similar = similar_names(name, names.iter().copied());
    let shown: Vec<&str> = names.iter().copied().take(MOST).collect();
    let more = match names.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let meant = if similar.is_empty() {
        String::new()
    } else {
        format!("; did you mean `{}`?", similar.join("` or `"))
    };
    format!("`{}`{more}{meant}", shown.join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dataset: &str, members: &[&str]) -> (String, Option<String>) {
        let granted = [
            "cleveland.k9.patient",
            "cleveland.k9.stay",
            "cleveland.k9.stay",
            "cleveland.heart",
        ];
        let granted: [DatasetRef; 4] = granted.map(|dataset| dataset.parse().unwrap());
        let members: Vec<InstitutionId> = members.iter().map(|member| member.parse().unwrap()).collect();
        let NotGranted { reason, help } = not_granted(&dataset.parse().unwrap(), &granted, &members);
        (reason, help)
    }

    #[test]
    fn table_without_a_grant_names_those_that_are_granted() {
        let members = ["budapest", "cleveland"];
        let help = |dataset: &str| found(dataset, &members).1;
        assert_eq!(
            help("cleveland.k9.patients").unwrap(),
            "your grants of `cleveland.k9` are for `patient`, `stay`; did you mean `patient`?"
        );
        assert_eq!(
            help("cleveland.k9.labs").unwrap(),
            "your grants of `cleveland.k9` are for `patient`, `stay`"
        );
        let elsewhere = help("cleveland.stay").unwrap();
        assert!(
            elsewhere.starts_with("did you mean `cleveland.k9.stay`?"),
            "{elsewhere}"
        );
        let similar = help("cleveland.hearts").unwrap();
        assert!(similar.starts_with("did you mean `cleveland.heart`?"), "{similar}");
        assert_eq!(help("budapest.heart"), None);
    }

    #[test]
    fn table_of_all_members_names_similar_ones() {
        let granted: [DatasetRef; 2] =
            ["cleveland.heart", "budapest.omop.person"].map(|dataset| dataset.parse().unwrap());
        let help = |table: &str| similar_of_all(table, &granted);
        assert_eq!(help("consortium.hart").unwrap(), "did you mean `consortium.heart`?");
        assert_eq!(
            help("consortium.omop.persons").unwrap(),
            "did you mean `consortium.omop.person`?"
        );
        assert_eq!(help("consortium.lung"), None);
    }

    #[test]
    fn table_of_an_unknown_institution_names_the_members() {
        let (reason, help) = found("clevland.heart", &["budapest", "cleveland"]);
        assert!(reason.contains("`clevland` is not an active member"), "{reason}");
        assert_eq!(
            help.unwrap(),
            "the other members are `budapest`, `cleveland`; did you mean `cleveland`?"
        );
        // Without a roster no institution is known.
        assert_eq!(found("nowhere.heart", &[]).0, "none was ever agreed");
    }
}
