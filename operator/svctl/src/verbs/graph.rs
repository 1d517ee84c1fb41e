//! `svctl graph`: which service needs which, as text or for dot(1).

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure};
use crate::options::DOT;
use crate::output::{escape, line};
use crate::selection::{named_or_all, scan_dir};
use crate::verbs::needs;
use crate::view::View;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let scan = scan_dir(arguments);
    let targets = named_or_all(&scan, arguments)?;
    let dot = arguments.has(&DOT);
    let quoted = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
    if dot {
        line("digraph services {");
    }
    for target in &targets {
        let view = View::read(target);
        let needed = needs::names(target);
        let name = target.shown();
        if dot {
            let name = quoted(&name);
            line(&format!("    \"{name}\" [label=\"{name}\\n{}\"];", view.word()));
            for need in &needed {
                line(&format!(
                    "    \"{name}\" -> \"{}\";",
                    quoted(&escape(&need.to_string_lossy()))
                ));
            }
        } else if !needed.is_empty() {
            let state =
                |need| needs::find(&scan, need).map_or("missing", |it| View::read(&it).word());
            let needed: Vec<String> = needed
                .iter()
                .map(|need| format!("{} ({})", escape(&need.to_string_lossy()), state(need)))
                .collect();
            line(&format!("{name} ({}) needs {}", view.word(), needed.join(", ")));
        }
    }
    if dot {
        line("}");
    }
    Ok(DONE)
}
