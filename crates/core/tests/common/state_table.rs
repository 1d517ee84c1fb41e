//! Compares a generated state table with its file in `docs/`.

use std::path::Path;

/// Fails where `docs/FILE` differs from the table. With `DAEMONTOOLS_WRITE_STATE_TABLE=1` in the
/// environment it writes the file instead.
pub(crate) fn check(file: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("DAEMONTOOLS_WRITE_STATE_TABLE").is_some() {
        std::fs::write(&path, table).expect("a writable file");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(table.lines()).find(|(old, new)| old != new);
    assert!(
        written == table,
        "docs/{file} differs from the code: {differs:?}; DAEMONTOOLS_WRITE_STATE_TABLE=1 writes it"
    );
}
