//! Links the small executable of the profile `release`.
//!
//! Its panics abort, so it needs no tables to unwind the stack. At a fixed address it needs no table of addresses
//! for the loader either.

use std::env::var;
use std::fs;

fn main() {
    let small = var("OPT_LEVEL").is_ok_and(|level| level == "z");
    let gnu = var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu");
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    // The start code of a static executable refers to the tables.
    if small && gnu && !features.split(',').any(|feature| feature == "crt-static") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        // Cargo keeps a path in this directory right when the checkout has moved.
        let script = format!("{}/no-unwind-tables.ld", var("OUT_DIR").expect("cargo sets it"));
        fs::copy("../no-unwind-tables.ld", &script).expect("copy the linker script");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../no-unwind-tables.ld");
}
