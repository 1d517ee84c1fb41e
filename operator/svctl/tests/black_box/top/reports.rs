//! The doctor, the tree and why follow the changes while they are on the screen.

use super::{start, wait_line, wait_text};
use harness::process::{assert_idle, wait_asleep};

#[test]
fn reports_follow_the_changes_and_wait_asleep_for_them() {
    let Some(services) = start() else { return };
    services.tree.wait_text("s/web/log/main/current", "red");
    let top = services.top(100, 40);
    wait_line(&top, "web", "up");
    let svctl = env!("CARGO_BIN_EXE_svctl");
    top.keys(&["G", "w"]);
    wait_text(&top, "web has been up for");
    services.run(&["down", "web"]);
    wait_text(&top, "web was told to stop");
    services.run(&["up", "web"]);
    // Its log has another line of the new process.
    top.wait_screen("why with the new line", |screen| {
        screen.contains("web has been up for") && screen.matches("listening").count() == 2
    });
    top.keys(&["q", "t"]);
    wait_text(&top, "└─ web  up");
    services.run(&["down", "web"]);
    wait_text(&top, "└─ web  down");
    services.tree.idle_service("sv/late");
    services.run(&["add", "sv/late"]);
    wait_text(&top, "├─ late  up");
    services.run(&["remove", "late"]);
    top.wait_screen("late has gone", |screen| !screen.contains("late"));
    top.keys(&["d"]);
    let screen = wait_text(&top, "crash-loop");
    assert!(!screen.contains("service-stopped"), "{screen}");
    // After a change it sleeps again, and nothing wakes it.
    services.run(&["up", "web"]);
    services.run(&["remove", "--yes", "mail"]);
    top.keys(&["p"]);
    wait_text(&top, "PAUSED");
    wait_asleep(top.pid(), svctl);
    assert_idle(&[top.pid()], super::IDLE);
}
