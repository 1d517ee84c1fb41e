//! The files of envdir, envini and envfile: comments, blanks and further lines change no setting.
#![no_main]

use daemontools_core::loaders::envdir;
use daemontools_core::loaders::envfile;
use daemontools_core::loaders::envini;
use daemontools_fuzz::parts;
use libfuzzer_sys::fuzz_target;

type Settings = Vec<(Vec<u8>, Vec<u8>)>;

fuzz_target!(|data: &[u8]| {
    let [prefix, text] = parts(data);
    directory(text);
    ini(prefix, text);
    file(text);
});

fn directory(text: &[u8]) {
    let envdir::Setting::Set(value) = envdir::parse(text) else {
        assert!(text.is_empty());
        return;
    };
    assert!(!text.is_empty() && !value.contains(&0));
    assert!(!value.ends_with(b" ") && !value.ends_with(b"\t"));
    let line = text.split(|&c| c == b'\n').next().unwrap_or_default();
    let restored: Vec<u8> = value.iter().map(|&c| if c == b'\n' { 0 } else { c }).collect();
    assert!(line.starts_with(&restored));
    assert!(line[restored.len()..].iter().all(|c| b" \t".contains(c)));
    // Further lines are ignored.
    let longer = [line, b"\nmore\0"].concat();
    assert_eq!(envdir::parse(&longer), envdir::Setting::Set(value));
}

fn ini_settings(prefix: &[u8], text: &[u8]) -> Settings {
    let mut all = Settings::new();
    envini::settings(text, prefix, |name, value| all.push((name.to_vec(), value.to_vec())));
    all
}

fn ini(prefix: &[u8], text: &[u8]) {
    let all = ini_settings(prefix, text);
    for (name, value) in &all {
        assert!(name.starts_with(prefix));
        let blank = |c: Option<&u8>| c.is_some_and(|c| b" \t\r\n".contains(c));
        assert!(!blank(value.first()) && !blank(value.last()) && !value.contains(&b'\n'));
    }
    let with = |end: &[u8]| {
        let lines: Vec<Vec<u8>> = text.split(|&c| c == b'\n').map(<[u8]>::to_vec).collect();
        lines.join(end)
    };
    for end in [&b"\r\n"[..], b" \n", b"\n\n", b"\n; a = b\n", b"\n\t"] {
        assert_eq!(ini_settings(prefix, &with(end)), all, "{}", end.escape_ascii());
    }
    // A setting does not change those before it.
    let longer = ini_settings(prefix, &[text, b"\n[last]\nname = value"].concat());
    let (last, before) = longer.split_last().expect("there is one");
    assert_eq!(before, all);
    assert_eq!(*last, ([prefix, b"last_name"].concat(), b"value".to_vec()));
}

fn file_settings(text: &[u8]) -> (Settings, Result<(), envfile::EnvfileError>) {
    let mut all = Settings::new();
    let result = envfile::settings(text, |name, value| all.push((name.to_vec(), value.to_vec())));
    (all, result)
}

fn file(text: &[u8]) {
    let (all, result) = file_settings(text);
    let lines = text.split(|&c| c == b'\n').count();
    assert!(all.len() <= lines);
    if let Err(error) = result {
        assert!((1..=lines as u64).contains(&error.line), "there is no line {}", error.line);
        // A text that begins with that line has the same error in line 1.
        let before = text.split_inclusive(|&c| c == b'\n').take(error.line as usize - 1);
        let rest = &text[before.map(<[u8]>::len).sum()..];
        assert_eq!(file_settings(rest), (vec![], Err(envfile::EnvfileError { line: 1, ..error })));
    }
    // A comment before the text only changes the line number.
    let (moved, later) = file_settings(&[b"  # nothing = \"\n", text].concat());
    let expected = result.map_err(|error| envfile::EnvfileError { line: error.line + 1, ..error });
    assert_eq!((&moved, later), (&all, expected));
    // The settings are written with quotes, and read back.
    let mut written = Vec::new();
    for (name, value) in &all {
        assert!(!name.is_empty() && !name.iter().any(|c| c.is_ascii_whitespace() || *c == b'='));
        written.extend_from_slice(name);
        written.extend_from_slice(b" =\t\"");
        for &byte in value {
            if b"\"\\$`".contains(&byte) {
                written.push(b'\\');
            }
            written.push(byte);
        }
        written.extend_from_slice(b"\" \n");
    }
    // A name that begins like a comment is possible only after `export`.
    if all.iter().all(|(name, _)| !matches!(name[0], b'#' | b';')) {
        assert_eq!(file_settings(&written), (all, Ok(())), "{}", written.escape_ascii());
    }
}
