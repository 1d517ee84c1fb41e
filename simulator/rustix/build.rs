//! Takes the source of the published rustix and replaces its last step, the `syscall` instruction, by a
//! call of the machine. So the simulated programs run on the real rustix, with the real layouts, and no
//! copy of it is kept here.

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(var("OUT_DIR").expect("Cargo sets OUT_DIR")).join("rustix");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    copy(&published()?.join("src"), &out)?;
    let lib = out.join("lib.rs");
    // An included file cannot have inner attributes and inner documentation; src/lib.rs has those that
    // matter.
    fs::write(&lib, without_inner_attributes(&fs::read_to_string(&lib)?))?;
    let arch = out.join("backend/linux_raw/arch");
    fs::write(arch.join("x86_64.rs"), system_calls())?;
    for cfg in
        ["linux_raw", "linux_raw_dep", "linux_kernel", "linux_like", "lower_upper_exp_for_non_zero"]
    {
        println!("cargo::rustc-cfg={cfg}");
    }
    Ok(())
}

/// The directory of the rustix that the product is built with. Cargo fetches it if it is missing.
fn published() -> io::Result<PathBuf> {
    let product = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo");
    println!("cargo::rerun-if-changed={product}.lock");
    let cargo = var("CARGO").expect("Cargo sets CARGO");
    let told = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
        .arg(format!("{product}.toml"))
        .output()?;
    let metadata = String::from_utf8_lossy(&told.stdout);
    metadata
        .split('"')
        .filter_map(|text| text.strip_suffix("/Cargo.toml"))
        .find(|path| path.rsplit('/').next().is_some_and(|last| last.starts_with("rustix-1.")))
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(String::from_utf8_lossy(&told.stderr).into_owned()))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Removes `//!` lines and `#![...]`, which can have several lines.
fn without_inner_attributes(source: &str) -> String {
    let mut kept = String::new();
    let mut open = 0_isize;
    for line in source.lines() {
        if open == 0 && line.starts_with("//!") {
            continue;
        }
        if open > 0 || line.starts_with("#![") {
            let count = |c| line.matches(c).count().cast_signed();
            open += count('[') - count(']');
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The functions of the architecture's file: `syscall0` to `syscall6`, and those that promise to change
/// no memory.
fn system_calls() -> String {
    let mut text = String::from("use crate::backend::reg::*;\nuse machine::system_call as go;\n");
    for count in 0..=6 {
        for kind in ["", "_readonly"] {
            let parameters: String =
                (0..count).map(|n| format!(", a{n}: ArgReg<'_, A{n}>")).collect();
            let arguments: Vec<String> = (0..6)
                .map(|n| if n < count { format!("a{n}.to_asm() as usize") } else { "0".into() })
                .collect();
            text += &format!(
                "#[inline]\npub(in crate::backend) unsafe fn syscall{count}{kind}(nr: SyscallNumber<'_>\
                 {parameters}) -> RetReg<R0> {{\n    FromAsm::from_asm(go(nr.to_asm() as usize, [{}]) as _)\n}}\n",
                arguments.join(", ")
            );
        }
    }
    text
}
