//! `svctl top`: the services on the screen of a terminal.

use crate::arguments::Arguments;
use crate::failure::{Failure, USAGE};
use crate::selection::scan_dir;
use crate::top;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if !arguments.operands.is_empty() {
        return Err(Failure::new(USAGE, "usage: svctl top (/ searches for names)"));
    }
    top::run(&scan_dir(arguments), arguments.output)
}
