//! What the build scripts of svctl and svweb share: the small executable of the profile `release`.

use std::env::var;
use std::fs;

/// Links the executable without the tables to unwind the stack, because its panics abort. `more` are further
/// arguments for the linker.
pub(crate) fn link(more: &[&str]) {
    let small = var("OPT_LEVEL").is_ok_and(|level| level == "z");
    let gnu = var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu");
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    // The start code of a static executable refers to the tables.
    if small && gnu && !features.split(',').any(|feature| feature == "crt-static") {
        // Cargo keeps a path in this directory right when the checkout has moved.
        let script = format!("{}/no-unwind-tables.ld", var("OUT_DIR").expect("cargo sets it"));
        fs::copy("../no-unwind-tables.ld", &script).expect("copy the linker script");
        for argument in more.iter().copied().chain([&*format!("-Wl,-T,{script}")]) {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    println!("cargo::rerun-if-changed=../no-unwind-tables.ld");
}
