//! Links the small executable of the profile `release`.

#[path = "../small_executable.rs"]
mod small_executable;

fn main() {
    // At a fixed address it needs no table of addresses for the loader.
    small_executable::link(&["-no-pie"]);
}
