//! Links the small executable of the profile `release`.

#[path = "../small_executable.rs"]
mod small_executable;

fn main() {
    // It listens on sockets, so it keeps a random address.
    small_executable::link(&[]);
}
