//! What a takeover does with each service and logger.

use super::examine::{Part, Suite};
use daemontools_core::state_dir::status::Want;

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
pub(crate) enum Change {
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
const RUNSV: &str = "runsv ends only together with the service";

/// Decides on a part; `to` is the suite that takes over.
pub(crate) fn change(part: &Part, to: Suite, mode: Mode) -> Change {
    let Some(supervisor) = &part.supervisor else { return Change::New };
    if supervisor.suite == to {
        return Change::None;
    }
    if part.pid() == 0 && part.want() != Want::Up {
        return match part.doubt {
            // Of the other process of the same runsv.
            Some(why) if mode != Mode::Restart => Change::Left(why),
            _ => Change::StaysDown,
        };
    }
    let can_adopt = to == Suite::Ours && part.doubt.is_none();
    let wants_now = mode != Mode::AtEnd || supervisor.suite == Suite::Runit;
    if can_adopt && wants_now {
        return Change::Adopted;
    }
    if mode == Mode::Restart {
        return Change::Restarted;
    }
    if supervisor.suite == Suite::Runit {
        return Change::Left(part.doubt.unwrap_or(RUNSV));
    }
    if part.want() != Want::Up {
        return Change::Left(ONCE);
    }
    Change::AtEnd(part.doubt.filter(|_| mode == Mode::Now))
}

/// What changes for a service although its processes stay; `None` if nothing does.
pub(crate) fn note(part: &Part, to: Suite) -> Option<String> {
    let supervisor = part.supervisor.as_ref().filter(|it| it.suite != to)?;
    let has = |name: &&&str| part.dir.path().join(name).exists();
    let listed = |names: &[&str]| names.iter().filter(has).copied().collect::<Vec<_>>().join(", ");
    if to == Suite::Ours {
        let (names, word): (&[&str], _) = match supervisor.suite {
            Suite::Runit => (&["finish", "check", "control"], "runit"),
            _ => (&["start", "stop", "notify"], "encore"),
        };
        let found = listed(names);
        let is_chosen = part.dir.path().join("personality").exists();
        return (!found.is_empty() && !is_chosen).then(|| {
            format!("its {found} counts only with a file personality that contains {word}")
        });
    }
    let options: Vec<&str> =
        servicedir::option_file_names().filter(|name| *name != "down").collect();
    let found = listed(&options);
    (!found.is_empty()).then(|| format!("its option files count no more: {found}"))
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
            doubt,
        }
    }

    #[test]
    fn a_service_keeps_its_process_unless_a_restart_is_asked_for() {
        use Mode::{AtEnd, Now, Restart};
        use Suite::{Daemontools, Ours, Runit};
        let doubt = Some("why");
        for (from, to, mode, doubt, expected) in [
            (Daemontools, Ours, AtEnd, None, Change::AtEnd(None)),
            (Daemontools, Ours, Now, None, Change::Adopted),
            (Daemontools, Ours, Now, doubt, Change::AtEnd(doubt)),
            (Daemontools, Ours, Restart, doubt, Change::Restarted),
            (Runit, Ours, AtEnd, None, Change::Adopted),
            (Runit, Ours, AtEnd, doubt, Change::Left("why")),
            (Runit, Ours, Restart, doubt, Change::Restarted),
            (Ours, Ours, Restart, doubt, Change::None),
            (Ours, Daemontools, AtEnd, None, Change::AtEnd(None)),
            (Ours, Daemontools, Restart, None, Change::Restarted),
        ] {
            let found = change(&part(from, 7, Want::Up, doubt), to, mode);
            assert_eq!(found, expected, "{from:?} to {to:?}, {mode:?}, {doubt:?}");
        }
    }

    #[test]
    fn a_service_that_is_not_wanted_up_is_not_started() {
        let to = Suite::Ours;
        let change = |pid, want, mode| change(&part(Suite::Daemontools, pid, want, None), to, mode);
        assert_eq!(change(0, Want::Down, Mode::AtEnd), Change::StaysDown);
        assert_eq!(change(0, Want::Once, Mode::Restart), Change::StaysDown);
        assert_eq!(change(7, Want::Once, Mode::AtEnd), Change::Left(ONCE));
        assert_eq!(change(7, Want::Once, Mode::Now), Change::Adopted);
        // Between two starts.
        assert_eq!(change(0, Want::Up, Mode::AtEnd), Change::AtEnd(None));
    }
}
