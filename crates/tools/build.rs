//! Links the executable statically and at a fixed address.
//!
//! Without a dynamic loader and relocations it starts fastest, and processes share all pages that
//! they do not write. The libc flavour needs flags of the compiler, too:
//! `RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" cargo build --release
//! --features libc --target x86_64-unknown-linux-gnu`.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let libc = std::env::var_os("CARGO_FEATURE_LIBC").is_some()
        || !matches!(arch.as_str(), "x86_64" | "aarch64");
    let args: &[&str] = if libc {
        // A static glibc needs parts of libgcc.
        &["-Wl,-Bstatic", "-Wl,--start-group", "-lc", "-lgcc", "-lgcc_eh", "-Wl,--end-group"]
    } else {
        &[
            "-static",
            "-no-pie",
            "-nostartfiles",
            "-Wl,--build-id=none",
            "-Wl,-z,norelro",
            "-Wl,-z,separate-loadable-segments",
        ]
    };
    for arg in args {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
    if !libc {
        // Puts the written data into the page that the kernel fills up with zeros. Cargo keeps a path in
        // this directory right when the checkout has moved.
        let script = format!("{}/last.ld", std::env::var("OUT_DIR").expect("cargo sets it"));
        std::fs::copy("last.ld", &script).expect("copy the linker script");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
    if !libc && arch == "aarch64" {
        // A constructor in compiler_builtins names this function of a libc. Our `_start` runs no
        // constructors, so atomic operations keep the form that every aarch64 processor has.
        println!("cargo::rustc-link-arg-bins=-Wl,--defsym=getauxval=0");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=last.ld");
}
