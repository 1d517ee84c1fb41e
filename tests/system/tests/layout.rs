//! Cargo runs each file of this folder, and the `main.rs` of each folder in it. It does not run a
//! file that no `main.rs` names as a module; this test finds such a file.

use std::fs;
use std::path::Path;

#[test]
fn every_file_in_a_subjects_folder_is_a_module_of_its_main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = fs::read_dir(tests).expect("list the tests").map(|e| e.expect("an entry").path());
    let mut modules = 0;
    for folder in folders.filter(|path| path.is_dir()) {
        let main = folder.join("main.rs");
        let main = fs::read_to_string(&main).unwrap_or_else(|e| panic!("{}: {e}", main.display()));
        for file in fs::read_dir(&folder).expect("list a folder") {
            let file = file.expect("an entry").path();
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a plain name");
            let named = main.lines().any(|line| line == format!("mod {name};"));
            assert!(named || name == "main", "{} does not run: main.rs lacks it", file.display());
            modules += usize::from(named);
        }
    }
    assert!(modules > 30, "{modules} modules");
}
