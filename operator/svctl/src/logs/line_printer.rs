//! The forms of `-o`: how a line is printed.

use super::directory_reader::DirectoryReader;
use super::file_scan::LineHead;
use super::line_reader::Extent;
use super::line_text::{LineText, TextTarget};
use super::local_text::LocalText;
use super::local_zone::LocalZone;
use super::log_output::LogOutput;
use super::stamp::Moment;
use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use crate::output::{Colour, Output, pad};
use daemontools_core::text::decimal::nine_digits;
use std::collections::HashMap;
use std::io;
use unicode_width::UnicodeWidthStr as _;

/// The colours of services, in turn.
const COLOURS: [Colour; 4] = [Colour::Cyan, Colour::Green, Colour::Yellow, Colour::Red];

/// The most columns of the names of services. A longer one moves the rest of its lines.
const WIDEST_NAME: usize = 100;

/// A form of `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineForm {
    /// Time, service and message, with a separator before each day.
    #[default]
    Short,
    /// Date and time, service and message.
    Iso,
    /// The line as it is in the file.
    Tai,
    /// The message.
    Cat,
    /// An object a line.
    Json,
}

impl LineForm {
    /// The words of `-o`.
    pub(crate) const WORDS: [&str; 5] = ["short", "iso", "tai", "cat", "json"];

    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        Ok(match word {
            "short" => Self::Short,
            "iso" => Self::Iso,
            "tai" => Self::Tai,
            "cat" => Self::Cat,
            "json" => Self::Json,
            _ => {
                let words = Self::WORDS.join(", ");
                let message = format!("unable to use -o {}: not one of {words}", escape(word));
                return Err(Failure::new(USAGE, message));
            }
        })
    }
}

/// Whose lines a directory has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineName {
    /// The machine, with `--host`.
    pub(crate) host: Option<String>,
    pub(crate) service: String,
}

impl From<String> for LineName {
    fn from(service: String) -> Self {
        Self { host: None, service }
    }
}

impl LineName {
    fn shown(&self) -> String {
        let service = escape(&self.service);
        self.host
            .as_ref()
            .map_or_else(|| service.clone(), |host| format!("{} {service}", escape(host)))
    }
}

/// Prints lines.
pub(crate) struct LinePrinter {
    form: LineForm,
    clock: LocalText,
    text: LineText,
    /// What stands for each directory: its service's name, or a part of its object.
    names: Vec<Vec<u8>>,
    output: Output,
    day: Option<i64>,
}

impl LinePrinter {
    /// `names` are the services of the directories. Two or more of them are named in each line.
    pub(crate) fn new(form: LineForm, zone: LocalZone, names: &[LineName], output: Output) -> Self {
        let target = match form {
            LineForm::Json => TextTarget::Json,
            // Programs get the bytes of the file.
            LineForm::Tai | LineForm::Cat if !output.terminal => TextTarget::Raw,
            _ => TextTarget::Terminal,
        };
        let zone = if form == LineForm::Json { LocalZone::utc() } else { zone };
        Self {
            form,
            clock: LocalText::new(zone),
            text: LineText::new(target),
            names: name_texts(form, names, output),
            output,
            day: None,
        }
    }

    /// Changes the services of the directories.
    pub(crate) fn set_names(&mut self, names: &[LineName]) {
        self.names = name_texts(self.form, names, self.output);
    }

    /// Prints a line of a directory, and reads its rest.
    pub(crate) fn print(
        &mut self,
        index: usize,
        reader: &mut DirectoryReader,
        head: &LineHead,
        out: &mut LogOutput,
    ) -> io::Result<()> {
        let line = reader.scan.lines.bytes(head.line.clone());
        self.begin_line(index, head, line, &mut out.buffer);
        if head.extent == Extent::Long {
            loop {
                out.flush_if_large()?;
                match reader.next_piece() {
                    Ok(Some(piece)) => {
                        self.piece(reader.scan.lines.bytes(piece), &mut out.buffer);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        reader.note(&error);
                        break;
                    }
                }
            }
        }
        self.end_line(&mut out.buffer);
        out.flush_if_large()
    }

    /// Prints a line, or its beginning, without its end.
    pub(crate) fn begin_line(
        &mut self,
        index: usize,
        head: &LineHead,
        line: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.begin(index, head, line, out);
        let from = if self.form == LineForm::Tai { 0 } else { head.message_at };
        self.text.piece(line.get(from..).unwrap_or_default(), out);
    }

    /// Prints a further piece of a line.
    pub(crate) fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.text.piece(bytes, out);
    }

    /// Ends a line.
    pub(crate) fn end_line(&mut self, out: &mut Vec<u8>) {
        self.text.end(out);
        out.extend_from_slice(if self.form == LineForm::Json { b"\"}\n" } else { b"\n" });
    }

    /// Prints what comes before the message.
    fn begin(&mut self, index: usize, head: &LineHead, line: &[u8], out: &mut Vec<u8>) {
        match self.form {
            LineForm::Tai => out.extend_from_slice(self.name(index)),
            LineForm::Cat => {}
            LineForm::Short => {
                self.clock.set(head.moment);
                if self.day != Some(self.clock.day) {
                    self.day = Some(self.clock.day);
                    let date = format!("-- {} --", String::from_utf8_lossy(&self.clock.date));
                    out.extend_from_slice(self.output.paint(Some(Colour::Bold), &date).as_bytes());
                    out.push(b'\n');
                }
                let [h1, h2, _, m1, m2, _, s1, s2] = self.clock.time;
                let [a, b, c, ..] = nine_digits(head.moment.nanoseconds());
                let rest = if head.is_bound { *b" ~   " } else { [b'.', a, b, c, b' '] };
                let [v, w, x, y, z] = rest;
                out.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2, v, w, x, y, z]);
                out.extend_from_slice(self.name(index));
            }
            LineForm::Iso => {
                self.push_date(head.moment, 6, out);
                out.extend_from_slice(&self.clock.offset);
                out.extend_from_slice(if head.is_bound { b" ~ " } else { b" " });
                out.extend_from_slice(self.name(index));
            }
            LineForm::Json => {
                out.extend_from_slice(self.name(index));
                self.push_date(head.moment, 9, out);
                match line.get(..head.label_length) {
                    Some(label) if !label.is_empty() => {
                        out.extend_from_slice(b"Z\",\"label\":\"");
                        out.extend_from_slice(label);
                        out.extend_from_slice(b"\",\"message\":\"");
                    }
                    _ => out.extend_from_slice(b"Z\",\"label\":null,\"message\":\""),
                }
            }
        }
    }

    fn name(&self, index: usize) -> &[u8] {
        self.names.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    fn push_date(&mut self, moment: Moment, digits: usize, out: &mut Vec<u8>) {
        self.clock.set(moment);
        out.extend_from_slice(&self.clock.date);
        out.push(b'T');
        out.extend_from_slice(&self.clock.time);
        out.push(b'.');
        let fraction = nine_digits(moment.nanoseconds());
        out.extend_from_slice(fraction.get(..digits).unwrap_or_default());
    }
}

/// What is printed for the name of each directory's service.
fn name_texts(form: LineForm, names: &[LineName], output: Output) -> Vec<Vec<u8>> {
    let is_alone = names.windows(2).all(|pair| pair[0] == pair[1])
        && names.iter().all(|name| name.host.is_none());
    let width = names.iter().map(|name| name.shown().width()).max().unwrap_or(0);
    let width = width.min(WIDEST_NAME);
    let mut different: HashMap<&LineName, usize> = HashMap::new();
    names
        .iter()
        .map(|name| {
            let count = different.len();
            let nth = *different.entry(name).or_insert(count);
            let shown = name.shown();
            match form {
                LineForm::Json => json_name(name),
                _ if is_alone => Vec::new(),
                LineForm::Cat => Vec::new(),
                LineForm::Tai => format!("{shown} | ").into_bytes(),
                LineForm::Short | LineForm::Iso => {
                    let colour = COLOURS.get(nth % COLOURS.len()).copied();
                    let padded = format!("{} |", pad(&shown, width));
                    format!("{} ", output.paint(colour, &padded)).into_bytes()
                }
            }
        })
        .collect()
}

/// An object up to its time.
fn json_name(name: &LineName) -> Vec<u8> {
    let mut object = b"{".to_vec();
    let host = name.host.iter().map(|host| ("host", host));
    for (member, text) in host.chain([("service", &name.service)]) {
        object.extend_from_slice(format!("\"{member}\":\"").as_bytes());
        LineText::new(TextTarget::Json).line(text.as_bytes(), &mut object);
        object.extend_from_slice(b"\",");
    }
    object.extend_from_slice(b"\"time\":\"");
    object
}
