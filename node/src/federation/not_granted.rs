//! What may have been meant by a table for which there is no grant: one of another name that is granted, or another member.

use concordat_engine::{NearestNames, similar_names};
use concordat_protocol::ids::{DatasetRef, InstitutionId};

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
            help: list(institution.as_str(), &names).map(|there| format!("the other members are {there}")),
        };
    }
    let reason = "none was ever agreed".to_owned();
    let beside: Vec<&str> = granted
        .iter()
        .filter(|other| other.collection() == dataset.collection())
        .map(|other| other.dataset.as_str())
        .collect();
    if let Some(datasets) = list(dataset.dataset.as_str(), &beside) {
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

/// What to do about a table of all members that no grant is for: the tables of all members that are granted; `None` without any.
pub(super) fn tables_of_all(table: &str, granted: &[DatasetRef]) -> Option<String> {
    let of_all = |dataset: &DatasetRef| {
        let shown = dataset.to_string();
        shown.split_once('.').map(|(_, rest)| format!("consortium.{rest}"))
    };
    let names: Vec<String> = granted.iter().filter_map(of_all).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let there = list(table, &names)?;
    Some(format!("your grants are for {there}"))
}

/// What to do about a name that no own dataset has: the names that there are.
pub(super) fn own_help(name: &str, own: &[String]) -> String {
    let names: Vec<&str> = own.iter().map(String::as_str).collect();
    match list(name, &names) {
        Some(there) => format!("see `concordat dataset list`: there are {there}"),
        None => "see `concordat dataset list` for its datasets".to_owned(),
    }
}

/// The datasets of other collections of the institution with this name, or with a similar one, or else all datasets that are granted.
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
    let request = format!(
        "concordat grant request {}/{} --purpose PURPOSE --until DATE",
        dataset.institution, dataset.collection
    );
    if meant.is_empty() {
        let names: Vec<String> = granted.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let there = list(&dataset.to_string(), &names)?;
        return Some(format!("your grants are for {there}; for this one `{request}`"));
    }
    Some(format!(
        "did you mean `{}`? otherwise `{request}`",
        meant.join("` or `")
    ))
}

/// Names in backticks, the nearest to `name` first, with those that are similar to it; `None` if there are none.
fn list(name: &str, known: &[&str]) -> Option<String> {
    let there = NearestNames::of(name, known.iter().copied());
    if there.is_empty() {
        return None;
    }
    let similar = similar_names(name, known.iter().copied());
    let meant = if similar.is_empty() {
        String::new()
    } else {
        format!("; did you mean `{}`?", similar.join("` or `"))
    };
    Some(format!("{there}{meant}"))
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
            "your grants of `cleveland.k9` are for `stay`, `patient`",
            "without a similar one, those that there are"
        );
        let elsewhere = help("cleveland.stay").unwrap();
        assert!(
            elsewhere.starts_with("did you mean `cleveland.k9.stay`?"),
            "{elsewhere}"
        );
        let similar = help("cleveland.hearts").unwrap();
        assert!(similar.starts_with("did you mean `cleveland.heart`?"), "{similar}");
        let other = help("budapest.lung").unwrap();
        assert!(other.starts_with("your grants are for `cleveland."), "{other}");
        assert!(
            other.contains("for this one `concordat grant request budapest/lung"),
            "{other}"
        );
        assert_eq!(not_granted(&"budapest.lung".parse().unwrap(), &[], &[]).help, None);
    }

    #[test]
    fn table_of_all_members_names_similar_ones() {
        let granted: [DatasetRef; 2] =
            ["cleveland.heart", "budapest.omop.person"].map(|dataset| dataset.parse().unwrap());
        let help = |table: &str| tables_of_all(table, &granted).unwrap();
        assert_eq!(
            help("consortium.hart"),
            "your grants are for `consortium.heart`, `consortium.omop.person`; did you mean `consortium.heart`?"
        );
        assert_eq!(
            help("consortium.omop.persons"),
            "your grants are for `consortium.omop.person`, `consortium.heart`; did you mean `consortium.omop.person`?"
        );
        assert!(!help("consortium.lung").contains("did you mean"));
        assert_eq!(tables_of_all("consortium.lung", &[]), None);
    }

    #[test]
    fn own_table_that_does_not_exist_names_those_that_there_are() {
        let own = ["stays", "heart"].map(str::to_owned);
        assert_eq!(
            own_help("hart", &own),
            "see `concordat dataset list`: there are `heart`, `stays`; did you mean `heart`?"
        );
        assert_eq!(own_help("hart", &[]), "see `concordat dataset list` for its datasets");
    }

    #[test]
    fn table_of_an_unknown_institution_names_the_members() {
        let (reason, help) = found("clevland.heart", &["budapest", "cleveland"]);
        assert!(reason.contains("`clevland` is not an active member"), "{reason}");
        assert_eq!(
            help.unwrap(),
            "the other members are `cleveland`, `budapest`; did you mean `cleveland`?"
        );
        // Without a roster no institution is known.
        assert_eq!(found("nowhere.heart", &[]).0, "none was ever agreed");
    }
}
