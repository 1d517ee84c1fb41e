//! Links the probe like the programs: without a libc on architectures with start code, else with a
//! static one.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let args: &[&str] = if matches!(arch.as_str(), "x86_64" | "aarch64") {
        &["-static", "-no-pie", "-nostartfiles", "-Wl,--build-id=none", "-Wl,-z,norelro"]
    } else {
        &["-Wl,-Bstatic", "-Wl,--start-group", "-lc", "-lgcc", "-lgcc_eh", "-Wl,--end-group"]
    };
    for arg in args {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
