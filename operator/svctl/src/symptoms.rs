//! What people see at three in the morning, and the command to type first.

/// A symptom and a command line. The help shows them below the verbs.
pub(crate) const SYMPTOMS: &[(&str, &str)] = &[
    ("what is wrong on this machine?", "svctl doctor"),
    ("what has failed?", "svctl list --failed"),
    ("it does not start, or is not ready", "svctl why NAME"),
    ("it restarts again and again", "svctl why NAME"),
    ("a port is taken, a disk is full", "svctl doctor NAME"),
    ("it does not stop", "svctl down --kill-after 10s NAME"),
    ("what did it say before?", "svctl logs -n 100 NAME"),
    ("who stopped it, and when?", "svctl history NAME"),
    ("what has changed since yesterday?", "svctl history --since yesterday '*'"),
    ("what changes right now?", "svctl events"),
    ("all of them again, one by one", "svctl restart --rolling 'web*'"),
    ("a colleague without root", "svctl grant --read GROUP"),
    ("a new service", "svctl new NAME --add -- COMMAND"),
];

#[cfg(test)]
mod tests {
    use super::SYMPTOMS;
    use crate::command_line::parse;
    use crate::output::{pad, shortened};

    /// Asserts that svctl knows the verb and the options of a command line without escapes.
    #[track_caller]
    fn understood(command: &str) {
        let mut words = Vec::new();
        for (number, part) in command.split('\'').enumerate() {
            if number % 2 == 0 {
                words.extend(part.split_ascii_whitespace().map(Into::into));
            } else {
                words.push(part.into());
            }
        }
        let parsed = parse(words.into_iter().skip(1));
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
    }

    #[test]
    fn each_command_of_the_stories_is_one_that_svctl_understands() {
        let stories = include_str!("../../../docs/stories.md");
        let blocks = stories.lines().filter(|line| line.starts_with("    "));
        let typed = blocks.filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("# ")
                .or_else(|| line.strip_prefix("$ "))
                .or_else(|| line.strip_prefix("→ "))
        });
        let quoted = stories.lines().filter(|line| !line.starts_with("    "));
        let quoted = quoted.flat_map(|line| line.split('`').skip(1).step_by(2));
        let mut count = 0;
        for line in typed.chain(quoted) {
            for command in line.split("; ").filter(|command| command.starts_with("svctl ")) {
                understood(command);
                count += 1;
            }
        }
        assert!(count > 30, "only {count} commands are found");
        assert_eq!(stories.matches("\n## ").count(), 10);
    }

    #[test]
    fn each_command_is_one_that_svctl_understands() {
        for (symptom, command) in SYMPTOMS {
            understood(command);
            let line = format!("  {}{command}", pad(symptom, 36));
            assert_eq!(shortened(&line, 80), line);
        }
    }
}
