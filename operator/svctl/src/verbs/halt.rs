//! `svctl halt`: ends the tree of a scan directory with an exit code.

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE};
use crate::output::escape;
use crate::selection::scan_dir;

pub(crate) fn halt(arguments: &Arguments) -> Result<u8, Failure> {
    let wrong = || Failure::new(USAGE, "usage: svctl halt [CODE], a number from 0 to 255");
    let code: u8 = match arguments.operands.as_slice() {
        [] => 0,
        [code] => code.to_str().and_then(|code| code.parse().ok()).ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    let scan = scan_dir(arguments);
    let ended = scan.halt(code).map_err(|error| Failure::system("run svc", &error))?;
    if ended {
        return Ok(DONE);
    }
    let shown = escape(&scan.path().to_string_lossy());
    // svc has printed the reason.
    Err(Failure::new(CANNOT, format!("unable to end the svscan of {shown}")))
}
