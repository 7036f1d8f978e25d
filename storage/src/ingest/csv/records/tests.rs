use super::*;

const SYNTAX: Syntax = Syntax {
    delimiter: Delimiter::Byte(b','),
    quotes: true,
    trusts_quotes: false,
    comment: None,
    skip_lines: 0,
};

/// Returns its bytes a few at a time, so that every state occurs at the edge of a chunk.
struct Drip<'a> {
    rest: &'a [u8],
    chunk: usize,
}

impl TextSource for Drip<'_> {
    fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, IngestError> {
        let (chunk, rest) = self.rest.split_at(self.chunk.min(self.rest.len()));
        out.extend_from_slice(chunk);
        self.rest = rest;
        Ok(!chunk.is_empty())
    }
}

type Line = (u64, Result<Vec<String>, Reason>);

fn read_in(text: &[u8], chunk: usize) -> Vec<Line> {
    read_as(text, chunk, SYNTAX)
}

fn read_as(text: &[u8], chunk: usize, syntax: Syntax) -> Vec<Line> {
    read_all(&mut Records::new(Drip { rest: text, chunk }, syntax))
}

fn read_all(records: &mut Records<Drip<'_>>) -> Vec<Line> {
    let mut row = Row::default();
    let mut lines = Vec::new();
    loop {
        match records.next(&mut row).unwrap() {
            Step::Row => lines.push((row.line, Ok(row.fields().map(str::to_owned).collect()))),
            Step::Refused(Reject { line, reason }) => lines.push((line, Err(reason))),
            Step::Blank => {}
            Step::End => return lines,
        }
    }
}

fn read(text: &str) -> Vec<Line> {
    let whole = read_in(text.as_bytes(), usize::MAX);
    for chunk in 1..4 {
        assert_eq!(read_in(text.as_bytes(), chunk), whole, "in chunks of {chunk}");
    }
    whole
}

fn row(line: u64, fields: &[&str]) -> Line {
    (line, Ok(fields.iter().map(ToString::to_string).collect()))
}

#[test]
fn all_line_ends_and_quotes_of_the_standard() {
    let text = "a,b\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\n\nq\"r,\n\"\"\r1,2";
    let expected = [
        row(1, &["a", "b"]),
        row(2, &["x, \"y\"", "two\r\nlines"]),
        row(5, &["q\"r", ""]),
        row(6, &[""]),
        row(7, &["1", "2"]),
    ];
    assert_eq!(read(text), expected);
}

#[test]
fn unclosed_quote_only_loses_its_own_line() {
    let unclosed = |line, field| (line, Err(Reason::UnclosedQuote { field }));
    assert_eq!(
        read("a,b\n1,\"x\n2,y\n3,z\n"),
        [
            row(1, &["a", "b"]),
            unclosed(2, 2),
            row(3, &["2", "y"]),
            row(4, &["3", "z"])
        ]
    );
    assert_eq!(read("1,\"x\n2,\"y\"\n"), [unclosed(1, 2), row(2, &["2", "y"])]);
    assert_eq!(read("\"ok\nok\",\"x\n2,y"), [unclosed(2, 2), row(3, &["2", "y"])]);
    assert_eq!(read("1,\"x"), [unclosed(1, 2)]);
}

#[test]
fn an_unclosed_quote_is_found_within_bounds() {
    let long_lines = format!("1,\"x\n{}", "2,y\n".repeat(300_000));
    let lines = read_in(long_lines.as_bytes(), 4096);
    assert_eq!(lines[0], (1, Err(Reason::UnclosedQuote { field: 2 })));
    assert_eq!((lines.len(), &lines[300_000]), (300_001, &row(300_001, &["2", "y"])));
}

#[test]
fn lines_of_a_field_that_is_too_long_are_not_rows() {
    for lines in [1001, 3000] {
        let text = format!("a,b\n0,first\n1,\"{}\"\n2,short\n", "x\n".repeat(lines));
        let after = 4 + lines as u64;
        assert_eq!(
            read_in(text.as_bytes(), 4096),
            [
                row(1, &["a", "b"]),
                row(2, &["0", "first"]),
                (3, Err(Reason::QuotedTooLong { field: 2 })),
                row(after, &["2", "short"])
            ]
        );
    }
    let wide = format!("1,\"{}\n\"\n2,b\n", "y".repeat(100_000));
    assert_eq!(
        read_in(wide.as_bytes(), 4096),
        [(1, Err(Reason::QuotedTooLong { field: 2 })), row(3, &["2", "b"])]
    );
}

#[test]
fn lines_before_the_table_and_comments_are_left_out() {
    let syntax = Syntax {
        comment: Some(b'#'),
        skip_lines: 2,
        ..SYNTAX
    };
    let text = "exported by x\r\n\"unclosed\n# names\na,b\n#c,d\n1,2 # 3\n#end";
    for chunk in [1, 2, 7, usize::MAX] {
        assert_eq!(
            read_as(text.as_bytes(), chunk, syntax),
            [row(4, &["a", "b"]), row(6, &["1", "2 # 3"])],
            "in chunks of {chunk}"
        );
    }
}

#[test]
fn quotes_can_be_ordinary_characters() {
    let syntax = Syntax {
        quotes: false,
        ..SYNTAX
    };
    let text = "5\",\"a\n\"b\",c";
    assert_eq!(
        read_as(text.as_bytes(), 2, syntax),
        [row(1, &["5\"", "\"a"]), row(2, &["\"b\"", "c"])]
    );
}

#[test]
fn blanks_can_separate_fields() {
    let syntax = Syntax {
        delimiter: Delimiter::Blanks,
        ..SYNTAX
    };
    let text = "  id   age \t sex  \n 1  50  \"a  b\"\n\n2\t60\tm";
    for chunk in [1, 3, usize::MAX] {
        assert_eq!(
            read_as(text.as_bytes(), chunk, syntax),
            [
                row(1, &["id", "age", "sex"]),
                row(2, &["1", "50", "a  b"]),
                row(4, &["2", "60", "m"])
            ],
            "in chunks of {chunk}"
        );
    }
}

#[test]
fn text_after_a_closing_quote_is_refused() {
    assert_eq!(
        read("1,\"a\"b,c\n2,d"),
        [(1, Err(Reason::TextAfterQuote { field: 2 })), row(2, &["2", "d"])]
    );
}

#[test]
fn fields_and_rows_over_their_limit_are_refused_with_their_line() {
    let text = format!(
        "a\n{}\nb\n\"{}\"\nc\n",
        "x".repeat(MAX_FIELD_BYTES + 1),
        "y".repeat(2 * MAX_FIELD_BYTES)
    );
    let long = |line| (line, Err(Reason::FieldTooLong { field: 1 }));
    assert_eq!(
        read_in(text.as_bytes(), 65_536),
        [row(1, &["a"]), long(2), row(3, &["b"]), long(4), row(5, &["c"])]
    );
    let field = "z".repeat(MAX_FIELD_BYTES - 1);
    let text = format!("{}\nd\n", [field.as_str(); 17].join(","));
    assert_eq!(
        read_in(text.as_bytes(), 65_536),
        [(1, Err(Reason::RowTooLong)), row(2, &["d"])]
    );
}

#[test]
fn bytes_that_are_not_text_are_located() {
    let lines = read_in(b"a\n\"b\nc\xe9\"\nd\n\0\n", 3);
    let expected = [
        row(1, &["a"]),
        (3, Err(Reason::InvalidBytes { offset: 6 })),
        row(4, &["d"]),
        (5, Err(Reason::ZeroByte)),
    ];
    assert_eq!(lines, expected);
}

/// Reads rows of three fields with `;` between them.
fn read_rows(text: &[u8], chunk: usize, trusts_quotes: bool) -> (Vec<Line>, LinesLikeRows) {
    let syntax = Syntax {
        delimiter: Delimiter::Byte(b';'),
        trusts_quotes,
        ..SYNTAX
    };
    let mut records = Records::new(Drip { rest: text, chunk }, syntax);
    records.expect_rows(RowShape {
        delimiters: 2,
        is_spaced: false,
    });
    (read_all(&mut records), records.like_rows())
}

#[test]
fn rows_between_two_open_quotes_are_read_as_rows() {
    let text = b"1;a;1\n2;\"open;2\n3;c;3\n4;d;4\n5;e\";5\n6;f;6\n";
    let expected = [
        row(1, &["1", "a", "1"]),
        (2, Err(Reason::RowsInQuotes { field: 2, lines: 3 })),
        row(3, &["3", "c", "3"]),
        row(4, &["4", "d", "4"]),
        row(5, &["5", "e\"", "5"]),
        row(6, &["6", "f", "6"]),
    ];
    for chunk in [1, 2, 7, usize::MAX] {
        assert_eq!(
            read_rows(text, chunk, false),
            (expected.to_vec(), LinesLikeRows::default()),
            "in chunks of {chunk}"
        );
    }
}

#[test]
fn rows_after_an_open_quote_are_read_however_many_they_are() {
    let rows: String = (0..3000).map(|row| format!("{row};x;{row}\n")).collect();
    let text = format!("1;\"open;1\n{rows}2;shut\";2\n");
    let (lines, _) = read_rows(text.as_bytes(), 4096, false);
    assert_eq!(lines[0], (1, Err(Reason::RowsInQuotes { field: 2, lines: 3001 })));
    assert_eq!(lines.len(), 3002);
}

#[test]
fn lines_like_rows_are_text_if_quotes_are_trusted_and_counted() {
    let text = b"1;\"a;1\n2;b\";2\n3;\"two\nlines\";3\n";
    let (lines, like_rows) = read_rows(text, 5, true);
    assert_eq!(
        lines,
        [row(1, &["1", "a;1\n2;b", "2"]), row(3, &["3", "two\nlines", "3"])]
    );
    assert_eq!((like_rows.count, like_rows.first), (1, Some(1)));
    let (_, like_rows) = read_rows(text, 5, false);
    assert_eq!(like_rows, LinesLikeRows::default());
}
