//! What a person sees in a real terminal: widths, colours, the line of progress; and what programs get.

use crate::Services;
use harness::{Cmd, Terminal, Tree, requires};
use std::collections::BTreeSet;

/// Services in several states. `talker` has a line in its log that is longer than 80 columns.
fn services() -> Services {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/cron");
        tree.write("s/cron/down", "");
        tree.service("s/mail", "#!/bin/sh\nexit 78\n");
        tree.write("s/mail/restart-limit", "2 in 60s\n");
        tree.mkdir("s/empty");
        tree.idle_service("s/slow");
        tree.write("s/slow/notification-fd", "3\n");
        let words = ["word"; 30].join("   ");
        let run = format!("#!/bin/sh\necho '{words} end'\nexec sleep 1000\n");
        tree.service("s/talker", &run);
        tree.service("s/talker/log", "#!/bin/sh\nexec multilog t ./main\n");
    });
    services.wait_state("mail", "failed");
    services.wait_state("slow", "starting");
    services.wait_state("cron", "down");
    services.tree.wait_text("s/talker/log/main/current", "end\n");
    services
}

/// svctl as in the terminal of a person, who has no NO_COLOR.
fn colourful<'t>(services: &'t Services, words: &[&str]) -> Cmd<'t> {
    services.svctl().env_remove("NO_COLOR").args(words)
}

/// What svctl shows in a terminal that is so wide, and with which attributes.
#[track_caller]
fn captured(tree: &Tree, command: Cmd<'_>, columns: u16) -> (String, String) {
    let terminal = Terminal::start(tree, command, columns, 50);
    terminal.wait_end();
    (terminal.scrollback(), terminal.attributes())
}

/// The numbers of all escape sequences of colours and attributes. Everything else is a failure.
#[track_caller]
fn attributes(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for part in text.split('\u{1b}').skip(1) {
        let (numbers, _) =
            part.strip_prefix('[').and_then(|it| it.split_once('m')).expect("an attribute");
        found.extend(numbers.split(';').map(|number| number.parse::<u32>().expect("a number")));
    }
    found
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_text_is_lost() {
    if !requires("tmux") {
        return;
    }
    let services = services();
    for columns in [80, 200] {
        for words in [
            &["list"][..],
            &["status", "talker"],
            &["why", "talker", "slow"],
            &["doctor"],
            &["help"],
        ] {
            let (screen, _) = captured(&services.tree, services.svctl().args(words), columns);
            for line in screen.lines() {
                // A command to copy stays on one line, which the terminal breaks.
                let width = line.chars().count();
                assert!(width <= usize::from(columns), "{words:?}: {line}");
                assert!(
                    line.starts_with([' ', '●', '○', '▲', '↻', '?', '✗', '!'])
                        || width < usize::from(columns),
                    "the terminal broke {words:?}: {line}"
                );
            }
        }
        let (screen, _) =
            captured(&services.tree, services.svctl().args(["status", "talker"]), columns);
        assert_eq!(screen.matches("word").count(), 30, "{screen}");
        assert!(screen.contains("word   word"), "the spaces of the log are kept:\n{screen}");
        // Each line of the log after its first one is indented.
        let log: Vec<&str> =
            screen.lines().skip_while(|line| !line.contains(" log ")).skip(1).collect();
        assert_eq!(log.len() > 2, columns == 80, "{screen}");
        assert!(log.iter().skip(1).all(|line| line.starts_with("      w")), "{screen}");
    }
    // A program gets one line for each line of the log.
    let output = services.run(&["status", "talker"]).out();
    assert!(output.lines().last().unwrap().ends_with("word end"), "{output}");
}

#[test]
fn colours_are_readable_on_dark_and_on_light_and_can_be_switched_off() {
    if !requires("tmux") {
        return;
    }
    let services = services();
    let mut used = BTreeSet::new();
    for words in [
        &["list"][..],
        &["status", "web", "cron"],
        &["why", "mail", "cron"],
        &["doctor"],
        &["help"],
        &["tree"],
    ] {
        let command = colourful(&services, words);
        let (plain, shown) = captured(&services.tree, command, 80);
        used.extend(attributes(&shown));
        let command = colourful(&services, words).env("NO_COLOR", "1");
        let (same, without) = captured(&services.tree, command, 80);
        assert_eq!(attributes(&without), BTreeSet::new(), "{words:?}");
        // Ages and memory differ, and nothing else does: symbols and words carry the state.
        let words_of = |text: &str| -> Vec<String> {
            let words =
                text.split_whitespace().filter(|it| !it.contains(|c: char| c.is_ascii_digit()));
            words.map(str::to_owned).collect()
        };
        assert_eq!(words_of(&plain), words_of(&same));
    }
    // Bold, dim, red, green, yellow, cyan, and their ends, which tmux writes in several ways. No bright colour, which a light background
    // swallows, no black or white, which the other one does, and no background.
    let allowed = BTreeSet::from([0, 1, 2, 22, 31, 32, 33, 36, 39, 49]);
    assert!(used.is_subset(&allowed), "{used:?}");
    assert!(used.is_superset(&BTreeSet::from([31, 32, 33])), "{used:?}");
    // Dim text vanishes on some terminals, so only labels are dim.
    let (_, shown) = captured(&services.tree, colourful(&services, &["list", "cron"]), 80);
    assert!(!attributes(&shown).contains(&2), "{shown}");
    for options in [&["--color", "never"][..], &["--color=never"]] {
        let command = colourful(&services, &["list"]).args(options);
        let (_, shown) = captured(&services.tree, command, 80);
        assert_eq!(attributes(&shown), BTreeSet::new());
    }
    // tmux chooses TERM for its programs.
    let command = colourful(&services, &["list"]).under(["env", "TERM=dumb"]);
    let (_, shown) = captured(&services.tree, command, 80);
    assert_eq!(attributes(&shown), BTreeSet::new());
}

#[test]
fn a_pipe_gets_neither_colours_nor_progress_lines() {
    let services = services();
    for words in [&["list"][..], &["status", "web"], &["why", "mail"], &["doctor"], &["help"]] {
        let output = colourful(&services, words).run();
        assert!(!output.out().contains('\u{1b}'), "{words:?}: {output}");
        assert_eq!(output.err(), "", "{words:?}");
    }
    let output = colourful(&services, &["--color", "always", "list", "web"]).run().out();
    assert_eq!(attributes(&output), BTreeSet::new(), "columns have no colours: {output}");
    let output = colourful(&services, &["--color", "always", "status", "web"]).run().out();
    assert!(attributes(&output).contains(&32), "{output}");
    let output = colourful(&services, &["up", "-T", "1200ms", "slow"]).run();
    assert_eq!(output.code, Some(99), "{output}");
    assert!(!output.err().contains(['\r', '\u{1b}']), "{output}");
    assert!(output.err().starts_with("svctl: info: waiting 1s for slow until ready"), "{output}");
}

#[test]
fn a_wait_shows_one_line_that_goes_away() {
    if !requires("tmux") {
        return;
    }
    let services = services();
    let command = services.svctl().args(["up", "slow"]);
    let terminal = Terminal::start(&services.tree, command, 80, 24);
    let screen = terminal.wait_screen("the line of progress", |it| it.contains("(Ctrl-C ends"));
    assert_eq!(screen.lines().count(), 1, "{screen}");
    terminal.resize(100, 24);
    terminal.keys(&["C-c"]);
    assert_eq!(terminal.wait_end(), 130);
    let screen = terminal.screen();
    assert!(!screen.contains("waiting 5s"), "{screen}");
    // The terminal is wider than at the start, and the message is folded at the new width.
    let message = "svctl: warning: no longer waiting for slow: the command was sent, it is starting and not yet \
                   ready\n    (svctl why slow)";
    assert_eq!(screen, message);
}

#[test]
fn a_long_list_ends_with_the_number_of_services_in_each_state() {
    if !requires("tmux") {
        return;
    }
    let services = Services::start(|tree| {
        for number in 1..=12 {
            tree.idle_service(format!("s/web{number:02}"));
        }
        tree.write("s/web03/down", "");
    });
    for number in 1..=12 {
        let state = if number == 3 { "down" } else { "up" };
        services.wait_state(&format!("web{number:02}"), state);
    }
    let (screen, _) = captured(&services.tree, services.svctl(), 80);
    assert!(screen.ends_with("\n12 services: 11 up, 1 down"), "{screen}");
    assert_eq!(services.run(&[]).out().lines().count(), 12);
}

#[test]
fn an_empty_scan_directory_leads_to_the_first_service() {
    if !requires("tmux") {
        return;
    }
    let services = Services::start(|_| {});
    let (screen, _) = captured(&services.tree, services.svctl(), 80);
    assert_eq!(screen, "no service in s (svctl help new)");
    services.run(&[]).is(0, "", "");
}

#[test]
fn the_help_ends_with_what_to_type_first() {
    if !requires("tmux") {
        return;
    }
    let services = Services::start(|_| {});
    let terminal = Terminal::start(&services.tree, services.svctl().arg("help"), 80, 24);
    assert_eq!(terminal.wait_end(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("at three in the morning\n"), "{screen}");
    assert!(screen.contains("it does not start, or is not ready  svctl why NAME\n"), "{screen}");
}
