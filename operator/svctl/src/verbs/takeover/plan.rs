//! What a takeover does with each service and logger.

use super::examine::{Part, Suite};
use daemontools_core::state_dir::status::{StateCode, Want};

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing is restarted and no supervisor is killed: a service changes when it ends.
    AtEnd,
    /// `--now`: supervise adopts the processes.
    Now,
    /// `--restart`: as now, and what cannot be adopted is restarted.
    Restart,
}

/// What happens to a service or a logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Its supervisor is already the wanted one.
    None,
    /// It has no supervisor: the new svscan starts one.
    New,
    /// It is down and stays down under its next supervisor.
    StaysDown,
    /// Its supervisor is killed, and the next one adopts the process.
    Adopted,
    /// Its supervisor leaves when the process ends. The reason, if it was to be adopted.
    AtEnd(Option<&'static str>),
    /// Its process is ended, and the next supervisor starts another.
    Restarted,
    /// It stays under its supervisor, for this reason.
    Left(&'static str),
}

const ONCE: &str = "it is not wanted up, and the next supervise would start it again when it ends; \
                    --now adopts it";
/// Without this file nothing would go to the logger any more.
pub(crate) const NEEDS_PERSONALITY: &str =
    "its file log counts only with a file personality that contains encore";
/// After a restart the service would be started again, but not its logger.
pub(crate) const LOGGER_STAYS_DOWN: &str = "its file down would keep its logger down";
/// Its supervise keeps the pipe to the logger open, and our supervise starts no logger beside a file down.
pub(crate) const LOGGER_ENDS: &str =
    "it is down, and its logger would end: start it with svc -u, and run this again";
const STARTED: &str = "it is up without a process, and the next supervise takes it for stopped: svc -u \
                       runs its start again";
const RUNSV: &str = "runsv ends only together with the service";

/// Decides on a part; `to` is the suite that takes over.
pub(crate) fn change(part: &Part, to: Suite, mode: Mode) -> Transfer {
    let Some(supervisor) = &part.supervisor else { return Transfer::New };
    if supervisor.suite == to {
        return Transfer::None;
    }
    if to == Suite::Ours && part.has_encore_logger() && !part.is_encore {
        return Transfer::Left(NEEDS_PERSONALITY);
    }
    if part.pid() == 0 && part.want() != Want::Up {
        if part.has_encore_logger() && part.pids().1 != 0 {
            return Transfer::Left(LOGGER_ENDS);
        }
        return match part.doubt {
            // Of the other process of the same runsv.
            Some(why) if mode != Mode::Restart => Transfer::Left(why),
            _ => Transfer::StaysDown,
        };
    }
    let can_adopt = to == Suite::Ours && part.doubt.is_none();
    let never_leaves = supervisor.suite == Suite::Runit || part.has_encore_logger();
    let wants_now = mode != Mode::AtEnd || never_leaves;
    if can_adopt && wants_now {
        return Transfer::Adopted;
    }
    if mode == Mode::Restart {
        let stays_down = part.has_encore_logger() && part.down_file().exists();
        return if stays_down { Transfer::Left(LOGGER_STAYS_DOWN) } else { Transfer::Restarted };
    }
    if never_leaves {
        return Transfer::Left(part.doubt.unwrap_or(RUNSV));
    }
    if part.want() != Want::Up {
        return Transfer::Left(ONCE);
    }
    Transfer::AtEnd(part.doubt.filter(|_| mode == Mode::Now))
}

/// What changes for a service although its processes stay.
pub(crate) fn notes(part: &Part, to: Suite) -> Vec<String> {
    let Some(supervisor) = part.supervisor.as_ref().filter(|it| it.suite != to) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let has = |name: &&&str| part.dir.path().join(name).exists();
    let listed = |names: &[&str]| names.iter().filter(has).copied().collect::<Vec<_>>().join(", ");
    if to == Suite::Ours {
        let (names, word): (&[&str], _) = match supervisor.suite {
            Suite::Runit => (&["finish", "check", "control"], "runit"),
            _ => (&["start", "stop", "notify"], "encore"),
        };
        let found = listed(names);
        if !found.is_empty() && !part.dir.path().join("personality").exists() {
            notes.push(format!(
                "its {found} counts only with a file personality that contains {word}"
            ));
        }
    } else {
        let options: Vec<&str> =
            servicedir::option_file_names().filter(|name| *name != "down").collect();
        let found = listed(&options);
        if !found.is_empty() {
            notes.push(format!("its option files count no more: {found}"));
        }
    }
    if part.pid() == 0 && part.record.is_some_and(|it| it.state == Some(StateCode::Started)) {
        notes.push(STARTED.to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::examine::Running;
    use super::*;
    use daemontools_core::state_dir::status::StatusRecord;
    use daemontools_core::time::tai::Tai64n;
    use servicedir::ServiceDir;

    fn part(suite: Suite, pid: u32, want: Want, doubt: Option<&'static str>) -> Part {
        let since = Tai64n::from_unix(0, 0);
        let record = StatusRecord { since, pid, paused: false, want, state: None };
        let supervisor = Running { pid: 2, name: String::new(), suite, program: "/x".into() };
        Part {
            name: "web".to_owned(),
            dir: ServiceDir::new("/nonexistent"),
            supervisor: Some(supervisor),
            record: Some(record),
            logger: None,
            is_encore: false,
            doubt,
        }
    }

    /// A service whose logger runs under the same supervise of encore.
    fn with_logger(pid: u32, want: Want, doubt: Option<&'static str>) -> Part {
        let part = part(Suite::Daemontools, pid, want, doubt);
        Part { logger: part.record, is_encore: true, ..part }
    }

    #[test]
    fn a_service_keeps_its_process_unless_a_restart_is_asked_for() {
        use Mode::{AtEnd, Now, Restart};
        use Suite::{Daemontools, Ours, Runit};
        let doubt = Some("why");
        for (from, to, mode, doubt, expected) in [
            (Daemontools, Ours, AtEnd, None, Transfer::AtEnd(None)),
            (Daemontools, Ours, Now, None, Transfer::Adopted),
            (Daemontools, Ours, Now, doubt, Transfer::AtEnd(doubt)),
            (Daemontools, Ours, Restart, doubt, Transfer::Restarted),
            (Runit, Ours, AtEnd, None, Transfer::Adopted),
            (Runit, Ours, AtEnd, doubt, Transfer::Left("why")),
            (Runit, Ours, Restart, doubt, Transfer::Restarted),
            (Ours, Ours, Restart, doubt, Transfer::None),
            (Ours, Daemontools, AtEnd, None, Transfer::AtEnd(None)),
            (Ours, Daemontools, Restart, None, Transfer::Restarted),
        ] {
            let found = change(&part(from, 7, Want::Up, doubt), to, mode);
            assert_eq!(found, expected, "{from:?} to {to:?}, {mode:?}, {doubt:?}");
        }
    }

    #[test]
    fn a_supervise_of_encore_with_a_logger_never_leaves_by_itself() {
        let change = |mode, doubt| change(&with_logger(7, Want::Up, doubt), Suite::Ours, mode);
        assert_eq!(change(Mode::AtEnd, None), Transfer::Adopted);
        assert_eq!(change(Mode::AtEnd, Some("why")), Transfer::Left("why"));
        assert_eq!(change(Mode::Now, Some("why")), Transfer::Left("why"));
        assert_eq!(change(Mode::Restart, Some("why")), Transfer::Restarted);
        let part = Part { is_encore: false, ..with_logger(7, Want::Up, None) };
        for mode in [Mode::AtEnd, Mode::Now, Mode::Restart] {
            let found = super::change(&part, Suite::Ours, mode);
            assert_eq!(found, Transfer::Left(NEEDS_PERSONALITY));
        }
    }

    #[test]
    fn a_logger_of_encore_without_its_service_is_left() {
        let part = with_logger(0, Want::Down, None);
        assert_eq!(change(&part, Suite::Ours, Mode::Now), Transfer::StaysDown);
        let logger = part.record.map(|record| StatusRecord { pid: 8, ..record });
        let part = Part { logger, ..part };
        for mode in [Mode::AtEnd, Mode::Now, Mode::Restart] {
            assert_eq!(change(&part, Suite::Ours, mode), Transfer::Left(LOGGER_ENDS));
        }
    }

    #[test]
    fn a_service_without_a_process_can_be_up() {
        let mut part = part(Suite::Daemontools, 0, Want::Once, None);
        assert!(notes(&part, Suite::Ours).is_empty());
        if let Some(record) = &mut part.record {
            record.state = Some(StateCode::Started);
        }
        assert_eq!(change(&part, Suite::Ours, Mode::Now), Transfer::StaysDown);
        assert_eq!(notes(&part, Suite::Ours), [STARTED]);
        assert!(notes(&part, Suite::Daemontools).is_empty());
    }

    #[test]
    fn a_service_that_is_not_wanted_up_is_not_started() {
        let to = Suite::Ours;
        let change = |pid, want, mode| change(&part(Suite::Daemontools, pid, want, None), to, mode);
        assert_eq!(change(0, Want::Down, Mode::AtEnd), Transfer::StaysDown);
        assert_eq!(change(0, Want::Once, Mode::Restart), Transfer::StaysDown);
        assert_eq!(change(7, Want::Once, Mode::AtEnd), Transfer::Left(ONCE));
        assert_eq!(change(7, Want::Once, Mode::Now), Transfer::Adopted);
        // Between two starts.
        assert_eq!(change(0, Want::Up, Mode::AtEnd), Transfer::AtEnd(None));
    }
}
