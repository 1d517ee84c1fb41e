//! svctl, whose code is the library beside this file.

fn main() -> std::process::ExitCode {
    svctl::main()
}
