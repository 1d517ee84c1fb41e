//! Chooses the flavour: raw on architectures with start code, libc on the others.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libc_flavour)");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let forced = std::env::var_os("CARGO_FEATURE_LIBC").is_some();
    if forced || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        println!("cargo::rustc-cfg=libc_flavour");
    }
}
