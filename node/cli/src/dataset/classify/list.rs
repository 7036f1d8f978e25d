//! Files with the classes of columns: CSV whose first line is `column,class`.

use std::path::Path;

use concordat_documents::dataset::Dataset;
use concordat_documents::problem::Problem;

use super::assignment::Assignment;
use crate::files;

/// Maximum length of such a file, in bytes: 4,096 columns with the longest names need a little more than half.
const MAX_FILE: u64 = 2 * 1024 * 1024;
/// What may be between the two fields of a line: spreadsheet programs write what the country uses.
const DELIMITERS: [char; 3] = [',', ';', '\t'];
const HEADER: [&str; 2] = ["column", "class"];

/// Reads a file. Its first field may be a pattern; lines without a class are left out.
///
/// # Errors
/// `usage` if it cannot be read, is not such a list, or states no class at all.
pub(super) fn read(path: &Path) -> Result<Vec<Assignment>, Problem> {
    let text = files::read_text(path, MAX_FILE)?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, shown: &str) -> Result<Vec<Assignment>, Problem> {
    let help = "write one with `concordat dataset classify NAME --template FILE`";
    let other = || Problem::usage(format!("the first line of `{shown}` is not `column,class`")).help(help);
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1_u64..);
    let mut lines = lines.filter(|(line, _)| !line.trim().is_empty());
    let (header, _) = lines.next().ok_or_else(other)?;
    let is_header = |delimiter: &char| fields(header, *delimiter).is_some_and(|fields| fields == HEADER);
    let delimiter = DELIMITERS.into_iter().find(is_header).ok_or_else(other)?;
    let mut assignments = Vec::new();
    for (line, number) in lines {
        let [column, class] = fields(line, delimiter)
            .ok_or_else(|| Problem::usage(format!("line {number} of `{shown}` does not have two fields")))?;
        if class.is_empty() {
            continue;
        }
        let assignment = Assignment::new(column, class)
            .map_err(|error| Problem::usage(format!("line {number} of `{shown}`: {error}")))?;
        assignments.push(assignment);
    }
    if assignments.is_empty() {
        return Err(Problem::usage(format!("`{shown}` states no class")).help("write a class behind a comma on a line"));
    }
    Ok(assignments)
}

/// The two fields of a line, without blanks and quotes around them.
fn fields(line: &str, delimiter: char) -> Option<[&str; 2]> {
    let (column, class) = line.split_once(delimiter)?;
    let fields = [column, class].map(|field| {
        let field = field.trim();
        let quoted = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
        quoted.unwrap_or(field)
    });
    (!fields.iter().any(|field| field.contains(delimiter))).then_some(fields)
}

/// A file with all columns of a dataset, each with the class that it has.
pub(super) fn template(dataset: &Dataset) -> String {
    let mut text = format!("{}\n", HEADER.join(","));
    for column in &dataset.columns {
        let class = column.class.map_or("", |class| class.as_str());
        text.push_str(&format!("{},{class}\n", column.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::dataset;
    use super::*;

    fn assignments(all: &[(&str, &str)]) -> Vec<Assignment> {
        let read = all
            .iter()
            .map(|(column, class)| Assignment::new(column, class).unwrap());
        read.collect()
    }

    #[test]
    fn template_is_filled_in_and_read_again() {
        let mut dataset = dataset(&["pid", "größe", "age"]);
        dataset.columns[2].class = Some("quasi-identifier".parse().unwrap());
        let template = template(&dataset);
        assert_eq!(template, "column,class\npid,\ngröße,\nage,quasi-identifier\n");
        assert_eq!(
            parse(&template, "f").unwrap(),
            assignments(&[("age", "quasi-identifier")])
        );
        let filled = template
            .replace("pid,", "pid,direct-identifier")
            .replace("größe,", "gr*,ordinary");
        let expected = [
            ("pid", "direct-identifier"),
            ("gr*", "ordinary"),
            ("age", "quasi-identifier"),
        ];
        assert_eq!(parse(&filled, "f").unwrap(), assignments(&expected));
    }

    #[test]
    fn list_is_read_as_spreadsheet_programs_write_it() {
        for text in [
            "\u{feff}column;class\r\npid;ordinary\r\n;\r\n",
            "column\tclass\npid\tordinary\n",
            "\n\"column\", \"class\"\n \"pid\" ,\"ordinary\"\n\n",
        ] {
            assert_eq!(
                parse(text, "f").unwrap(),
                assignments(&[("pid", "ordinary")]),
                "{text:?}"
            );
        }
    }

    #[test]
    fn list_with_mistakes_is_refused_with_the_line() {
        for (text, part) in [
            ("", "first line of `f`"),
            ("pid,ordinary\n", "first line of `f`"),
            ("column,class,type\npid,ordinary,text\n", "first line of `f`"),
            ("column,class\npid,\n", "states no class"),
            ("column,class\n\npid\n", "line 3 of `f` does not have two fields"),
            (
                "column,class\npid,ordinary,text\n",
                "line 2 of `f` does not have two fields",
            ),
            ("column,class\npid,secret\n", "line 2 of `f`: `secret`"),
            ("column,class\na b,ordinary\n", "line 2 of `f`: `a b`"),
            ("column,class\n,ordinary\n", "line 2 of `f`"),
        ] {
            let problem = parse(text, "f").unwrap_err();
            assert!(problem.detail.contains(part), "{text:?}: {problem:?}");
        }
    }
}
