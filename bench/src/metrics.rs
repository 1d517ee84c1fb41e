//! A scrape of the metrics of a thousand services: its processor time.

use crate::suite::Suite;
use crate::table::{median, two_digits};
use crate::tree::{DEADLINE, ScanTree};
use crate::{Context, Measured, WorkDir, counts, guard};
use std::env;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The number of services, if `--most` says nothing.
const SERVICES: u32 = 1000;

/// The beginning of a sample that each running service has.
const SAMPLE: &str = "\ndaemontools_service_memory_bytes{";

/// A scrape looks for log directories again while a logger is younger.
const LOGGER_START: Duration = Duration::from_secs(11);

/// A running svweb, which its drop ends.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures and prints the table. Returns whether all work was done.
pub(crate) fn measure(
    work_dir: &WorkDir,
    ours: &Suite,
    long: bool,
    most: Option<u32>,
    machine: &str,
) -> Measured<bool> {
    let size = most.unwrap_or(SERVICES);
    let mut text =
        "| services | a scrape of svweb, ms | the longest | the first | `svctl metrics`, ms \
                    | `--compat runit` | text, KB |\n|---|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    let mut is_good = true;
    for has_loggers in [false, true] {
        let name = format!("{size}{}", if has_loggers { " with loggers" } else { "" });
        eprintln!("{name}");
        match row(work_dir, ours, size, has_loggers, long) {
            Ok(row) => {
                let _ = writeln!(text, "| {name} |{row}");
            }
            Err(why) => {
                is_good = false;
                let _ = writeln!(text, "| {name} | failed | | | | | |\n\nFAILED: {why}\n");
            }
        }
    }
    print!("{text}");
    println!("\n{machine}");
    Ok(is_good)
}

fn row(
    work_dir: &WorkDir,
    ours: &Suite,
    size: u32,
    has_loggers: bool,
    long: bool,
) -> Measured<String> {
    let mut tree = ScanTree::new(work_dir, ours, size, has_loggers)?;
    let patience = DEADLINE + Duration::from_millis(u64::from(size) * 10);
    tree.start()?;
    tree.wait_up(size, patience)?;
    tree.wait_complete(size, patience)?;
    if has_loggers {
        tree.wait_logged(size, patience)?;
        thread::sleep(LOGGER_START);
    }
    let server = start(&tree)?;
    let trials = if long { 101 } else { 21 };
    let (mut times, mut length) = (vec![], 0);
    for _ in 0..=trials {
        let before = counts::cpu_of_threads(server.child.id())?;
        let text = scrape(&server.address)?;
        let used = (counts::cpu_of_threads(server.child.id())? - before) / 1e6;
        if text.matches(SAMPLE).count() != size as usize {
            return Err("a scrape has not one sample for each service".to_owned());
        }
        length = text.len();
        times.push(used);
    }
    let first = times.remove(0);
    let longest = times.iter().copied().fold(0.0, f64::max);
    let mut cells =
        vec![median(&times).map_or_else(|| "-".to_owned(), two_digits), two_digits(longest)];
    cells.push(two_digits(first));
    for arguments in [&["metrics"][..], &["metrics", "--compat", "runit"]] {
        cells.push(two_digits(processor_time(&tree, arguments, trials)?));
    }
    cells.push((length / 1000).to_string());
    drop(server);
    tree.stop(patience)?;
    Ok(cells.iter().fold(String::new(), |row, cell| format!("{row} {cell} |")))
}

/// A program that a variable of `bench/run` names, for the services of a tree.
fn program(tree: &ScanTree<'_>, variable: &str) -> Measured<Command> {
    let path = env::var(variable).context(&format!("read {variable}: use bench/run"))?;
    let mut command = Command::new(path);
    command.arg("-d").arg(tree.dir.join("scan")).stdin(Stdio::null());
    Ok(command)
}

/// Starts svweb.
fn start(tree: &ScanTree<'_>) -> Measured<Server> {
    let mut child = program(tree, "DAEMONTOOLS_SVWEB")?
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start svweb")?;
    let messages = child.stderr.take().ok_or("no pipe")?;
    let mut server = Server { child, address: String::new() };
    let mut line = String::new();
    BufReader::new(messages).read_line(&mut line).context("read the messages of svweb")?;
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
    server.address = address.ok_or_else(|| format!("svweb says {line}"))?.0.to_owned();
    Ok(server)
}

/// The answer to a scrape.
fn scrape(address: &str) -> Measured<String> {
    let mut stream = TcpStream::connect(address).context("connect to svweb")?;
    stream.set_read_timeout(Some(DEADLINE)).context("set a timeout")?;
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).context("send a request")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read the answer of svweb")?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(answer) } else { Err(answer) }
}

/// The mean processor time of svctl, in milliseconds.
fn processor_time(tree: &ScanTree<'_>, arguments: &[&str], trials: u32) -> Measured<f64> {
    let before = counts::cpu_of_children()?;
    for _ in 0..trials {
        let mut child = program(tree, "DAEMONTOOLS_SVCTL")?
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .context("start svctl")?;
        let status = guard::wait(&mut child, DEADLINE).ok_or("no end")?;
        if !status.success() {
            return Err(format!("svctl ended with {status}"));
        }
    }
    Ok((counts::cpu_of_children()? - before) / f64::from(trials))
}
