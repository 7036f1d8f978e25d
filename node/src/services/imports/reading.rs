//! The options of a document as options of the import.

use concordat_documents::import::{
    ColumnReading, HeaderLine, MissingValues, QuoteSign, ReadingOptions, RepeatedHeaderLine,
};
use concordat_documents::problem::Problem;
use concordat_storage::ingest::{
    ColumnOptions, DateFormat, DecimalSign, Format, Header, IngestError, Missing, Notation, Refused, RepeatedHeader,
    SubjectRule, TableOptions, TextEncoding, ThousandsSign, check_signs, column_kind, comment_sign,
};

/// How the file is read.
///
/// # Errors
/// `usage` if the options contradict each other, or one of them is not understood.
pub(in crate::services) fn table_options(reading: ReadingOptions, refused: Refused) -> Result<TableOptions, Problem> {
    Ok(TableOptions {
        format: reading.kind.as_deref().map(stated_format).transpose()?,
        encoding: reading.encoding.as_deref().map(TextEncoding::from_label).transpose()?,
        header: match reading.header.unwrap_or_default() {
            HeaderLine::Auto => Header::Auto,
            HeaderLine::Present => Header::Present,
            HeaderLine::Absent => Header::Absent { names: Vec::new() },
        },
        repeated_header: match reading.repeated_header.unwrap_or_default() {
            RepeatedHeaderLine::Row => RepeatedHeader::Row,
            RepeatedHeaderLine::LeftOut => RepeatedHeader::LeftOut,
        },
        delimiter: reading.delimiter.as_deref().map(str::parse).transpose()?,
        quotes: reading.quote.unwrap_or_default() == QuoteSign::Double,
        quotes_are_stated: reading.quote == Some(QuoteSign::Double),
        comment: reading.comment.as_deref().map(comment_sign).transpose()?,
        skip_lines: reading.skip_lines.unwrap_or_default(),
        missing: match reading.missing.unwrap_or_default() {
            MissingValues::Auto => Missing::Auto,
            MissingValues::Everywhere => Missing::Everywhere,
            MissingValues::BlankOnly => Missing::BlankOnly,
        },
        notation: notation(&reading)?,
        last_year: reading.last_year.map(i32::from),
        sheet: reading.sheet,
        missing_words: reading.missing_words,
        text_columns: reading.text_columns,
        subject: subject(reading.subject_column, reading.each_row_is_a_subject)?,
        kinds: reading
            .types
            .into_iter()
            .map(|(column, word)| Ok((column, column_kind(&word)?)))
            .collect::<Result<_, IngestError>>()?,
        rename: reading.rename.into_iter().collect(),
        columns: reading
            .columns
            .into_iter()
            .map(|(name, column)| Ok((name, column_options(&column)?)))
            .collect::<Result<_, IngestError>>()?,
        refused,
        ..TableOptions::default()
    })
}

fn notation(reading: &ReadingOptions) -> Result<Notation, IngestError> {
    let (decimal, thousands) = signs(reading.decimal.as_deref(), reading.thousands.as_deref())?;
    Ok(Notation {
        decimal: decimal.unwrap_or_default(),
        thousands,
        dates: forms(&reading.date_formats)?,
        zone: reading.zone.as_deref().map(str::parse).transpose()?,
        booleans: reading
            .booleans
            .iter()
            .map(|words| words.parse())
            .collect::<Result<_, _>>()?,
    })
}

/// The signs of numbers, which have to differ.
fn signs(
    decimal: Option<&str>,
    thousands: Option<&str>,
) -> Result<(Option<DecimalSign>, Option<ThousandsSign>), IngestError> {
    let decimal = decimal.map(str::parse).transpose()?;
    let thousands = thousands.map(str::parse).transpose()?;
    check_signs(decimal, thousands)?;
    Ok((decimal, thousands))
}

fn forms(patterns: &[String]) -> Result<Vec<DateFormat>, IngestError> {
    patterns.iter().map(|pattern| pattern.parse()).collect()
}

fn column_options(column: &ColumnReading) -> Result<ColumnOptions, IngestError> {
    let (decimal, thousands) = signs(column.decimal.as_deref(), column.thousands.as_deref())?;
    Ok(ColumnOptions {
        decimal,
        thousands,
        dates: forms(&column.date_formats)?,
        missing_words: column.missing_words.clone(),
    })
}

fn stated_format(kind: &str) -> Result<Format, Problem> {
    Format::from_label(kind).ok_or_else(|| {
        let labels = Format::ALL.map(Format::label).join("`, `");
        Problem::usage(format!("files of the kind `{kind}` cannot be imported")).help(format!(
            "the kinds are `{labels}`; leave it out to have the format recognized"
        ))
    })
}

fn subject(column: Option<String>, each_row: bool) -> Result<SubjectRule, Problem> {
    match (column, each_row) {
        (Some(_), true) => Err(Problem::usage(
            "either a column identifies the subjects, or each row is a subject of its own",
        )
        .help("state one of the two")),
        (Some(column), false) => Ok(SubjectRule::Column(column)),
        (None, true) => Ok(SubjectRule::EachRow),
        (None, false) => Ok(SubjectRule::Unstated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> Result<TableOptions, Problem> {
        table_options(serde_json::from_str(json).unwrap(), Refused::Stop)
    }

    #[test]
    fn every_reading_option_is_passed_on() {
        let found = options(
            r##"{"kind":"csv","sheet":"Data","encoding":"windows-1252","header":"absent","repeated_header":"left_out","delimiter":"tab","quote":"none","comment":"#",
            "skip_lines":2,"missing":"everywhere","missing_words":["-"],"decimal":"comma","thousands":"point",
            "date_formats":["%d.%m.%Y"],"zone":"Europe/Berlin","booleans":["ja,nein"],"text_columns":["t"],
            "subject_column":"id","types":{"a":"number"},"rename":{"b":"c"},"last_year":2026,
            "columns":{"d":{"decimal":"point","date_formats":["%m/%d/%Y"],"missing_words":["9999"]}}}"##,
        )
        .unwrap();
        let usual = TableOptions::default();
        assert_eq!(found.format, Some(Format::Csv));
        assert_eq!(found.sheet.as_deref(), Some("Data"));
        assert_eq!(found.encoding.unwrap().name(), "windows-1252");
        assert_eq!(found.header, Header::Absent { names: Vec::new() });
        assert_eq!(found.repeated_header, RepeatedHeader::LeftOut);
        assert_eq!(found.delimiter, "tab".parse().ok());
        assert_eq!((found.quotes, found.comment, found.skip_lines), (false, Some(b'#'), 2));
        assert_eq!(
            (found.missing, found.missing_words),
            (Missing::Everywhere, vec!["-".to_owned()])
        );
        assert_eq!(found.text_columns, ["t"]);
        assert_eq!(found.subject, SubjectRule::Column("id".to_owned()));
        assert_eq!(found.kinds, [("a".to_owned(), column_kind("number").unwrap())]);
        assert_eq!(found.rename, [("b".to_owned(), "c".to_owned())]);
        assert_eq!(found.last_year, Some(2026));
        let [(column, stated)] = found.columns.as_slice() else {
            panic!("{:?}", found.columns);
        };
        assert_eq!((column.as_str(), stated.decimal), ("d", Some(DecimalSign::Point)));
        assert_eq!(
            (stated.dates.len(), stated.missing_words.as_slice()),
            (1, &["9999".to_owned()][..])
        );
        let notation = found.notation;
        assert_ne!(notation.decimal, usual.notation.decimal);
        assert!(notation.thousands.is_some() && notation.zone.is_some());
        assert_eq!((notation.dates.len(), notation.booleans.len()), (1, 1));
    }

    #[test]
    fn stated_quotes_differ_from_the_usual_ones() {
        let stated = |json| {
            options(json)
                .map(|found| (found.quotes, found.quotes_are_stated))
                .unwrap()
        };
        assert_eq!(stated("{}"), (true, false));
        assert_eq!(stated(r#"{"quote":"double"}"#), (true, true));
        assert_eq!(stated(r#"{"quote":"none"}"#), (false, false));
    }

    #[test]
    fn options_that_are_not_understood_are_refused_by_name() {
        for (json, option) in [
            (r#"{"kind":"xls"}"#, "xls"),
            (r#"{"encoding":"klingon"}"#, "klingon"),
            (r#"{"delimiter":"::"}"#, "delimiter"),
            (r#"{"comment":"//"}"#, "--comment"),
            (r#"{"decimal":"dot"}"#, "--decimal"),
            (r#"{"thousands":"x"}"#, "--thousands"),
            (r#"{"decimal":"point","thousands":"point"}"#, "--thousands"),
            (
                r#"{"columns":{"a":{"decimal":"comma","thousands":"comma"}}}"#,
                "--thousands",
            ),
            (r#"{"columns":{"a":{"date_formats":["%d.%m"]}}}"#, "--date-format"),
            (r#"{"date_formats":["dd.mm.yyyy"]}"#, "--date-format"),
            (r#"{"zone":"Berlin"}"#, "--zone"),
            (r#"{"booleans":["yes"]}"#, "--boolean"),
            (r#"{"types":{"a":"string"}}"#, "--type"),
            (r#"{"subject_column":"a","each_row_is_a_subject":true}"#, "subject"),
        ] {
            let problem = options(json).unwrap_err();
            assert!(problem.detail.contains(option), "{json}: {problem:?}");
        }
    }
}
