//! Links the variables of the programs into one section: see `machine/variables.ld`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=machine/variables.ld");
    let script = concat!("-Wl,-T,", env!("CARGO_MANIFEST_DIR"), "/machine/variables.ld");
    println!("cargo::rustc-link-arg={script}");
}
