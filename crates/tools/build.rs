//! Links the executable statically, at a fixed address: without a dynamic loader and without
//! relocations it starts fastest and shares every page it does not write.
//!
//! The libc flavour has to be told so by the compiler's own flags as well:
//! `RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" cargo build --release
//! --features libc --target x86_64-unknown-linux-gnu`.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let libc = std::env::var_os("CARGO_FEATURE_LIBC").is_some()
        || !matches!(arch.as_str(), "x86_64" | "aarch64");
    let args: &[&str] = if libc {
        // What a static glibc needs of the compiler's own library.
        &["-Wl,-Bstatic", "-Wl,--start-group", "-lc", "-lgcc", "-lgcc_eh", "-Wl,--end-group"]
    } else {
        &[
            "-static",
            "-no-pie",
            "-nostartfiles",
            "-Wl,--build-id=none",
            "-Wl,-z,norelro",
            // What is written shares its only page with what the kernel fills up with zeros.
            concat!("-Wl,-T,", env!("CARGO_MANIFEST_DIR"), "/last.ld"),
            "-Wl,-z,separate-loadable-segments",
        ]
    };
    for arg in args {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
