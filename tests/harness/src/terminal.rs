//! Programs in a terminal that a test can read and type into: tmux without a person.

use crate::command::making;
use crate::{Cmd, DEADLINE, Tree, wait_for};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Runs a program, and writes its pid and its exit code to files. tmux loses the exit code of one that
/// closes its descriptors before it exits, and hangs it up then. Keys that send a signal reach this
/// shell too. HUP ends it, and the kernel then sends HUP to the program.
const KEEPER: &str = r#"
    trap : INT QUIT TERM
    exec 9>&2 2>/dev/null
    sh -c 'echo $$ >"$0.pid"; exec "$@"' "$0" "$@" 2>&9 9>&-
    echo $? >"$0.end"
    exec sleep 1000000
"#;

/// A program in a terminal of its own. Dropped, the terminal goes away, and the program gets HUP.
///
/// Each terminal is a tmux server with one window, without a configuration file. A test that makes one
/// asks [`requires("tmux")`](crate::requires) first.
///
/// ```no_run
/// use harness::{Terminal, Tree, requires};
///
/// let tree = Tree::new();
/// if requires("tmux") {
///     let terminal = Terminal::start(&tree, tree.sh("echo hello; exec cat"), 80, 24);
///     terminal.wait_screen("the greeting", |screen| screen.contains("hello"));
///     terminal.text("typed");
///     terminal.keys(&["Enter", "C-d"]);
///     assert_eq!(terminal.wait_end(), 0);
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Terminal<'t> {
    tree: &'t Tree,
    socket: PathBuf,
    /// The files of the keeper, without their endings.
    keeper: PathBuf,
}

impl<'t> Terminal<'t> {
    /// Starts a program with its variables and its directory in a terminal of that size. Standard input,
    /// output and error are the terminal, whatever the command says.
    ///
    /// # Panics
    ///
    /// If tmux cannot start it.
    #[track_caller]
    pub fn start(tree: &'t Tree, command: Cmd<'_>, columns: u16, rows: u16) -> Self {
        let (socket, keeper) = (tree.scratch("tmux"), tree.scratch("terminal"));
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut words: Vec<OsString> = vec!["tmux".into(), "-S".into(), (&socket).into()];
        // The screen belongs to the program: no line of tmux in it.
        let settings = [
            &["-u", "-f", "/dev/null", "start-server", ";"][..],
            &["set", "-g", "status", "off", ";"],
            &["set", "-g", "escape-time", "0", ";"],
            &["set", "-g", "history-limit", "5000", ";"],
            &["new-session", "-d", "-x"],
        ];
        words.extend(settings.concat().into_iter().map(Into::into));
        words.extend([&columns, "-y", &rows, "--", "sh", "-c", KEEPER].map(Into::into));
        words.push(keeper.clone().into());
        let started = command.under(words).run();
        assert!(started.code == Some(0), "tmux: {started}");
        Self { tree, socket, keeper }
    }

    /// What the screen shows: one line of text for each row, without spaces at the ends of lines and
    /// without empty rows at the end.
    #[must_use]
    #[track_caller]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen and what has scrolled off its top.
    #[must_use]
    #[track_caller]
    pub fn scrollback(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// The same with the escape sequences of colours and other attributes. They are those of the cells,
    /// not those that the program wrote: tmux writes one where an attribute changes.
    #[must_use]
    #[track_caller]
    pub fn attributes(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e", "-S", "-"])
    }

    /// Waits until the screen fulfils a condition, and returns it.
    ///
    /// # Panics
    ///
    /// If it never does; the message shows the last screen.
    #[track_caller]
    pub fn wait_screen(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        wait_for(&format!("the screen shows {what}"), DEADLINE * 2, || {
            let screen = self.screen();
            let late = start.elapsed() > DEADLINE;
            assert!(!late || condition(&screen), "waited in vain for {what} in:\n{screen}");
            condition(&screen).then_some(screen)
        })
    }

    /// Whether the program has asked the terminal to report the mouse.
    #[must_use]
    pub fn has_mouse(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{mouse_any_flag}"]).trim() == "1"
    }

    /// Presses keys, by the names of tmux: `Enter`, `Escape`, `C-c`, `Up`, `PageDown`, `a`.
    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "--"], keys].concat());
    }

    /// Types a text as it is.
    #[track_caller]
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Gives the terminal another size; the program gets WINCH.
    #[track_caller]
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// The pid of the program, once it has begun.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.wait_number(".pid", "begins")
    }

    /// Waits until the program has ended, and returns its exit code as a shell gives it. The screen
    /// stays as it is.
    ///
    /// # Panics
    ///
    /// If it does not end in time, with the screen.
    #[track_caller]
    pub fn wait_end(&self) -> u32 {
        self.wait_number(".end", "ends")
    }

    /// Takes the terminal away: the program gets HUP, and its descriptors are closed from the other
    /// side.
    #[track_caller]
    pub fn close(self) {
        drop(self);
    }

    #[track_caller]
    fn wait_number(&self, ending: &str, what: &str) -> u32 {
        let mut file = self.keeper.clone().into_os_string();
        file.push(ending);
        let start = Instant::now();
        wait_for(&format!("the program in the terminal {what}"), DEADLINE * 2, || {
            let late = start.elapsed() > DEADLINE;
            let text = fs::read_to_string(&file).unwrap_or_default();
            let number = text.strip_suffix('\n').and_then(|text| text.parse().ok());
            assert!(
                number.is_some() || !late,
                "waited in vain until it {what}:\n{}",
                self.screen()
            );
            number
        })
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "tmux {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a client of the server. What a test asks again and again is not kept in the tree.
    #[track_caller]
    fn client(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.tree.suite().program("tmux"));
        command.arg("-u").arg("-S").arg(&self.socket).args(arguments);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let client = {
            let _making = making();
            command.spawn()
        };
        client.and_then(Child::wait_with_output).expect("run a client of tmux")
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // The tree ends what this does not reach.
        let _ = self.client(&["kill-server"]);
    }
}

#[cfg(test)]
mod tests {
    use super::Terminal;
    use crate::{DEADLINE, Tree, process, requires, wait_until};

    #[test]
    fn a_terminal_has_its_size_and_shows_what_is_typed() {
        if !requires("tmux") {
            return;
        }
        let tree = Tree::new();
        let script = "printf '\\033[31mred\\033[0m\\n'; stty size; exec cat";
        let terminal = Terminal::start(&tree, tree.sh(script), 97, 17);
        let screen = terminal.wait_screen("its size", |screen| screen.contains("17 97"));
        assert!(screen.starts_with("red\n"), "{screen}");
        assert!(terminal.attributes().starts_with("\u{1b}[31mred\n\u{1b}[39m"));
        terminal.text("-x; C-d ü");
        terminal.wait_screen("the text", |screen| screen.ends_with("-x; C-d ü"));
        terminal.keys(&["Enter", "C-d"]);
        assert_eq!(terminal.wait_end(), 0);
        assert_eq!(terminal.screen(), "red\n17 97\n-x; C-d ü\n-x; C-d ü");
    }

    #[test]
    fn another_size_reaches_the_program_and_so_does_the_end_of_the_terminal() {
        if !requires("tmux") {
            return;
        }
        let tree = Tree::new();
        let script = "trap 'stty size' WINCH; trap 'echo gone >end; exit 3' HUP
                      echo begun; while :; do read -r line; done";
        let terminal = Terminal::start(&tree, tree.sh(script), 80, 24);
        terminal.wait_screen("that it runs", |screen| screen.contains("begun"));
        terminal.resize(40, 10);
        terminal.wait_screen("the new size", |screen| screen.contains("10 40"));
        let pid = terminal.pid();
        terminal.close();
        wait_until("the program ends", DEADLINE, || !process::is_alive(pid));
        assert_eq!(tree.text("end"), "gone\n");
    }

    #[test]
    fn the_exit_code_and_what_scrolled_away_are_kept() {
        if !requires("tmux") {
            return;
        }
        let tree = Tree::new();
        let terminal = Terminal::start(&tree, tree.sh("seq 30; exit 7"), 80, 5);
        assert_eq!(terminal.wait_end(), 7);
        assert_eq!(terminal.scrollback().lines().next(), Some("1"));
        assert!(terminal.screen().ends_with("30"), "{}", terminal.screen());
        assert!(terminal.screen().lines().count() <= 5);
    }
}
