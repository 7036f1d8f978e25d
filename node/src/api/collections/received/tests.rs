use super::*;

/// Writes a body after its first line, in chunks of this size. Returns how long the files are, if it is a whole one.
fn written(lens: &[u64], body: &[u8], size: usize) -> Result<Vec<u64>, Problem> {
    let dir = tempfile::tempdir().unwrap();
    let begin = || Upload::begin(&dir.path().join("uploads"));
    let (chunks, waiting) = mpsc::channel(body.len().max(1));
    for chunk in body.chunks(size) {
        chunks.try_send(Bytes::copy_from_slice(chunk)).unwrap();
    }
    drop(chunks);
    let uploads = write(lens.to_vec(), begin, waiting).unwrap().closed()?;
    Ok(uploads.iter().map(Upload::len).collect())
}

const CLOSING: &str = "{\"unchanged\":true}\n";

#[test]
fn folder_is_divided_into_its_files() {
    for lens in [&[3, 0, 4][..], &[0, 0], &[7], &[0, 7, 0], &[]] {
        let bytes = usize::try_from(lens.iter().sum::<u64>()).unwrap();
        let body = format!("{}{CLOSING}", "x".repeat(bytes));
        for size in [1, 3, 1000] {
            assert_eq!(written(lens, body.as_bytes(), size).unwrap(), lens, "{size}");
        }
        assert_eq!(written(lens, body.trim_end().as_bytes(), 5).unwrap(), lens);
    }
}

#[test]
fn folder_that_is_not_closed_is_discarded() {
    let cases = [
        // Cut off in a file, before the closing line and in it.
        "xxx".to_owned(),
        "xxxxxxx".to_owned(),
        "xxxxxxx{\"unchanged\":tr".to_owned(),
        // Longer or shorter files than were stated.
        format!("xxxxxxxx{CLOSING}"),
        format!("xxxxxxx\n{CLOSING}"),
        format!("xxxxxx{CLOSING}"),
        // Something else than a closing line, or more than it.
        "xxxxxxx{\"unchanged\":true,\"more\":1}\n".to_owned(),
        format!("xxxxxxx{CLOSING}{CLOSING}"),
        format!("xxxxxxx{}{CLOSING}", " ".repeat(100)),
        "xxxxxxx{}\n".to_owned(),
    ];
    for body in cases {
        for size in [1, 4, 1000] {
            let refused = written(&[3, 4], body.as_bytes(), size).unwrap_err();
            assert!(refused.detail.contains("completely"), "{body}: {refused:?}");
        }
    }
    let changed = written(&[1], b"x{\"unchanged\":false}\n", 1000).unwrap_err();
    assert!(changed.detail.contains("changed"), "{changed:?}");
}
