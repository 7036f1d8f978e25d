//! Rows as a peer sends them: no input makes the reader panic or use more memory than a message may have, what it reads is
//! within the limits, and the result does not depend on how the bytes are split.

#![no_main]

mod bounded;

use bytes::Bytes;
use concordat_arrow_stream::{CheckedStream, Item, MAX_CELLS, MAX_ROWS, StreamViolation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    // The seed files of the corpus are whole streams.
    let whole = read(input, usize::MAX);
    let cut = read(input, usize::from(*step).max(1));
    assert_eq!(
        whole.is_ok(),
        cut.is_ok(),
        "the result depends on how the bytes are split"
    );
    let _ = read(bytes, usize::from(*step).max(1));
});

fn read(bytes: &[u8], step: usize) -> Result<u64, StreamViolation> {
    let mut stream = CheckedStream::new();
    let mut rows = 0;
    for chunk in bytes.chunks(step) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(item) = stream.decode(&mut chunk)? {
            let Item::Batch(batch) = item else { continue };
            assert!((1..=MAX_ROWS).contains(&batch.num_rows()), "rows beyond the limit");
            assert!(
                batch.num_rows() * batch.num_columns() <= MAX_CELLS,
                "values beyond the limit"
            );
            rows += batch.num_rows() as u64;
        }
        assert!(chunk.is_empty(), "bytes were left behind");
    }
    stream.finish().map(|()| rows)
}
