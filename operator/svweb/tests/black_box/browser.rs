//! The page in a real browser.

use crate::driver::Browser;
use crate::{Site, TOKEN, svweb};
use harness::{Signal, Tree};

/// A log line that must stay text.
const SCRIPT: &str = "<script>document.title=\"taken\"</script>";

/// A directory with one service of each kind.
pub(crate) fn mixed(tree: &Tree) {
    for name in ["api", "cache", "db", "queue"] {
        tree.idle_service(format!("s/{name}"));
    }
    tree.service(
        "s/web",
        &format!("#!/bin/sh\nexec 2>&1\necho '{SCRIPT}'\necho listening\nexec cat ../../in\n"),
    );
    tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
    tree.fifo("in", 0o600);
    tree.service("s/mailer", "#!/bin/sh\nexit 78\n");
    tree.write("s/mailer/restart-limit", "2 in 60s\n");
    tree.idle_service("s/cron");
    tree.write("s/cron/down", "");
    tree.idle_service("s/<img src=x onerror=alert(1)>");
    tree.symlink("/nowhere", "s/old");
}

impl Site {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

#[test]
fn a_change_appears_without_a_reload() {
    let site = Site::start(&[], mixed);
    site.wait_state("mailer", "failed");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/"));
    browser.wait("window.stays = document.getElementById('list')");
    browser.wait_text("2 problems");
    assert!(
        browser
            .run("return document.querySelector('.problems').innerText")
            .to_string()
            .contains("mailer")
    );
    site.tree.svc("-d", "s/db");
    browser.wait("[...document.querySelectorAll('#list li')].some((it) => it.className.includes('down') && it.innerText.includes('db'))");
    site.tree.idle_service("late");
    site.tree.symlink("../late", "s/late");
    browser.wait_text("late");
    site.tree.remove("s/late");
    browser.wait("!document.body.innerText.includes('late')");
    browser.wait("window.stays === document.getElementById('list')");
    // Search, filter, and no match.
    browser.run("const box = document.querySelector('input'); box.value = 'CACH'; box.dispatchEvent(new Event('input'))");
    browser.wait("document.querySelectorAll('#list li').length === 1");
    browser.run("const box = document.querySelector('input'); box.value = 'zzz'; box.dispatchEvent(new Event('input'))");
    browser.wait_text("No service matches.");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_of_a_failed_service_says_why_and_what_to_do() {
    let site = Site::start(&[], mixed);
    site.wait_state("mailer", "failed");
    site.wait_state("web", "up");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/service/mailer"));
    browser.wait("document.querySelector('.why')?.innerText.includes('svctl up mailer')");
    browser.wait_text("crash-loop");
    browser.picture("why-1200-light");
    browser.open(&site.url("/service/web"));
    browser.wait_text("listening");
    browser.wait("document.querySelector('.why')?.hidden");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn names_and_log_lines_stay_text() {
    let site = Site::start(&[], mixed);
    site.wait_state("web", "up");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.open(&site.url("/"));
    browser.wait_text("<img src=x onerror=alert(1)>");
    browser.click("#list a", "<img");
    browser.wait("document.querySelector('h1')?.innerText === '<img src=x onerror=alert(1)>'");
    browser.open(&site.url("/service/web"));
    browser.wait_text(SCRIPT);
    // The log goes on without a reload.
    browser.wait("document.querySelector('#link').innerText === 'live'");
    let mut number = 0;
    harness::wait_until("a new line", harness::DEADLINE, || {
        // The first line can come before the log is followed.
        number += 1;
        site.tree.write("in", format!("line <b>{number}</b>\n"));
        browser.text().contains("line <b>")
    });
    assert_eq!(
        browser.run("return document.querySelectorAll('main img, main b, main script').length"),
        0
    );
    assert_ne!(browser.run("return document.title"), "taken");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_comes_back_after_svweb_was_killed() {
    let mut site = Site::start(&[], mixed);
    site.wait_state("web", "up");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.open(&site.url("/"));
    browser.wait("document.querySelector('#link').innerText === 'live'");
    site.web.take().expect("svweb").kill();
    browser.wait_text("no contact");
    site.tree.svc("-d", "s/db");
    site.tree.wait_down("s/db");
    let address = site.address.to_string();
    site.web = Some(svweb(&site.tree, &["--listen", &address]).start());
    browser.wait("document.querySelector('#link').innerText === 'live'");
    browser.wait("[...document.querySelectorAll('#list li')].some((it) => it.className.includes('down') && it.innerText.includes('db'))");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn no_width_needs_a_horizontal_scroll() {
    let site = Site::start(&[], |tree| {
        mixed(tree);
        tree.idle_service(format!("s/{}", "long-name-without-end-".repeat(9)));
    });
    site.wait_state("mailer", "failed");
    let Some(browser) = Browser::start(&site.tree) else { return };
    for path in ["/", "/service/web", "/service/mailer"] {
        browser.open(&site.url(path));
        browser.wait("document.querySelector('#link').innerText === 'live'");
        browser.wait("document.querySelector('#list li, .log div')");
        for (width, height) in [(360, 740), (1200, 800)] {
            browser.resize(width, height);
            let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]");
            assert!(widths[0].as_u64() <= widths[1].as_u64(), "{path}: {widths}");
            for scheme in ["light", "dark"] {
                browser.scheme(scheme);
                let page = path.rsplit('/').next().filter(|it| !it.is_empty()).unwrap_or("list");
                browser.picture(&format!("{page}-{width}-{scheme}"));
            }
        }
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn control_asks_for_the_token_and_says_why_not() {
    let site = Site::controlled();
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.open(&site.url("/service/web"));
    browser.wait("document.querySelector('.actions button')");
    let press = |name: &str| {
        browser.click(".actions button", name);
        browser.wait("document.querySelector('dialog[open] #token') === document.activeElement");
    };
    let enter = |token: &str| {
        browser.run(&format!("document.querySelector('#token').value = '{token}'; document.querySelector('dialog .main').click()"));
    };
    press("down");
    browser.picture("confirm-1200-light");
    enter("wrong-token-0123456789");
    browser.wait_text("the token is missing or wrong");
    assert_eq!(site.get("/api/v1/services/web").json()["state"], "up");
    enter(TOKEN);
    browser.wait("!document.querySelector('dialog')");
    browser.wait("document.querySelector('.head').innerText.includes('down')");
    site.wait_state("web", "down");
    // The token is known now, and is nowhere but in the memory of this page.
    press("up");
    browser.run("document.querySelector('dialog .main').click()");
    browser.wait("document.querySelector('.head').innerText.includes('up')");
    assert_eq!(
        browser.run("return [localStorage.length, sessionStorage.length, document.cookie]"),
        serde_json::json!([0, 0, ""])
    );
    assert_eq!(browser.complaints(), [""; 0]);
    site.web().signal(Signal::TERM);
}

#[test]
fn every_number_of_services_has_a_page() {
    let site = Site::start(&[], |_| {});
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/"));
    browser.wait_text("The scan directory has no services yet");
    browser.picture("empty-1200-light");
    for number in 0..40 {
        site.tree.idle_service(format!("s/idle-{number}"));
        if number == 0 {
            browser.wait("document.querySelector('.counts').innerText === '1 service: 1 up'");
            browser.picture("1-1200-light");
        }
    }
    browser.wait("document.querySelector('.counts').innerText === '40 services: 40 up'");
    browser.picture("40-1200-light");
    browser.resize(360, 740);
    browser.picture("40-360-light");
    browser.resize(1200, 800);
    // svscan makes a supervisor for each directory: these are links that lead nowhere.
    for number in 40..10_000 {
        let link = site.tree.path("s").join(format!("service-{number:05}"));
        std::os::unix::fs::symlink("/nowhere", link).expect("a link");
    }
    browser.wait("document.querySelector('.counts')?.innerText.startsWith('10,000 services')");
    browser.run("scrollTo(0, document.body.scrollHeight)");
    browser.wait_text("service-09999");
    let rows = browser.run("return document.querySelectorAll('#list li').length");
    assert!(rows.as_u64().is_some_and(|rows| rows < 100), "{rows}");
    browser.picture("10000-1200-light");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn paper_has_all_services() {
    let site = Site::start(&[], |tree| {
        for number in 0..500 {
            tree.symlink("/nowhere", format!("s/service-{number:03}"));
        }
    });
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/"));
    browser.wait("document.querySelector('.counts')?.innerText.startsWith('500 services')");
    let rows = "document.querySelectorAll('#list li').length";
    browser.wait(&format!("{rows} < 100"));
    browser.run(&format!("addEventListener('beforeprint', () => {{ window.printed = {rows}; }})"));
    browser.print("500-print");
    assert_eq!(browser.run("return window.printed"), 500);
    // The screen has few of them again.
    browser.wait(&format!("{rows} < 100"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_works_with_the_keyboard_and_on_paper() {
    let site = Site::start(&[], mixed);
    site.wait_state("web", "up");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/"));
    browser.wait("document.querySelector('#list li')");
    browser.key("/", "/");
    browser.wait("document.activeElement.type === 'search'");
    browser.key("Escape", "");
    browser.wait("document.activeElement.type !== 'search'");
    // Every element that can be used has a name, and a list row is reached by Tab.
    let nameless = "[...document.querySelectorAll('a, button, input, select')].filter((it) => \
         !it.innerText && !it.getAttribute('aria-label') && !it.labels?.length).length";
    assert_eq!(browser.run(&format!("return {nameless}")), 0);
    browser.run("document.querySelector('#list a').focus()");
    // The list is drawn again each second: the focus stays.
    let first = browser.run("return document.activeElement.innerText");
    browser.run("window.drawn = document.querySelector('#list li'); ");
    browser.wait("window.drawn !== document.querySelector('#list li')");
    assert_eq!(browser.run("return document.activeElement.innerText"), first);
    browser.media("print");
    browser.picture("list-print");
    browser.wait("getComputedStyle(document.querySelector('.bar')).display === 'none'");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The picture in the README, docs/svweb.png, is `target/svweb/readme.png` of this test.
#[test]
fn the_page_of_a_usual_machine_shows_what_is_wrong() {
    let site = Site::start(&[], |tree| {
        for name in
            ["api", "cache", "db", "metrics", "proxy", "queue", "web", "worker-1", "worker-2"]
        {
            tree.idle_service(format!("s/{name}"));
        }
        tree.idle_service("s/cron");
        tree.write("s/cron/down", "");
        tree.service("s/mail", "#!/bin/sh\nexit 78\n");
        tree.write("s/mail/restart-limit", "5 in 60s\n");
        tree.service("s/backup", "#!/bin/sh\nexec no-such-program\n");
        tree.write("s/backup/restart-delay", "1h\n");
    });
    site.wait_state("mail", "failed");
    site.wait_state("backup", "waiting");
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1100, 760);
    browser.open(&site.url("/"));
    browser.wait_text("2 problems");
    browser.wait_text("next start in 5");
    let first = browser.run("return document.querySelector('.problems li').innerText");
    assert!(first.to_string().contains("mail"), "{first}");
    browser.run("document.querySelector('.dir').textContent = '/etc/service'");
    browser.picture("readme");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_machine_without_svscan_is_a_problem() {
    let mut site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
    });
    site.wait_state("web", "up");
    assert!(!site.get("/api/v1/findings/machine").body.contains("svscan-missing"));
    site.svscan.take().expect("svscan").kill();
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.resize(1200, 800);
    browser.open(&site.url("/"));
    // Findings stay for 10 seconds. The page asks when it comes into view.
    let asked = "document.dispatchEvent(new Event('visibilitychange'))";
    browser.wait(&format!("{asked} && document.querySelector('h1').innerText === '1 problem'"));
    browser.wait_text(&format!("no process holds the lock of {}", site.tree.path("s").display()));
    browser.picture("svscan-1200-light");
    if let Some(axe) = crate::accessibility::axe() {
        crate::accessibility::assert_accessible(&browser, &axe, "a machine without svscan");
    }
    let plain = site.get("/").body;
    assert!(plain.contains("1 problem in 1 service"), "{plain}");
    assert!(plain.contains("svscan-missing"), "{plain}");
    site.svscan = Some(site.tree.cmd("svscan").arg("s").start());
    browser.wait(&format!("{asked} && document.querySelector('h1').innerText === 'No problems'"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn an_svscan_without_a_lock_whose_place_is_hidden_is_not_missing() {
    let tree = Tree::new();
    tree.mkdir("s");
    // As the original's svscan, it takes no lock.
    tree.mkdir("bin");
    let svscan = tree.copy_program("/bin/sleep", "bin/svscan");
    let svscan = tree.cmd(&svscan.to_string_lossy()).arg("1000").cwd("s").start();
    let web = svweb(&tree, &["--listen", "127.0.0.1:0"]).unprivileged().start();
    let address = crate::address_of(&web);
    let path = "GET /api/v1/findings/machine";
    let answer = crate::client::request(address, path, &["Host: localhost"], "");
    assert!(!answer.body.contains("svscan-missing"), "{answer}");
    svscan.kill();
}

/// Gives the right back, so that the tree can be removed.
struct Restored<'t>(&'t Tree);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.chmod("s/web/supervise", 0o700);
    }
}

#[test]
fn without_rights_the_page_says_what_is_missing() {
    let site = Site::start(&[], |tree| {
        tree.idle_service("s/web");
    });
    site.wait_state("web", "up");
    let _restored = Restored(&site.tree);
    site.tree.chmod("s/web/supervise", 0);
    let web = svweb(&site.tree, &["--listen", "127.0.0.1:0"]).unprivileged().start();
    let address = crate::address_of(&web);
    let answer =
        crate::client::request(address, "GET /api/v1/services/web", &["Host: localhost"], "");
    let service = answer.json();
    assert_eq!(
        (&service["state"], &service["reason"]),
        (&"unknown".into(), &"access denied".into())
    );
    let Some(browser) = Browser::start(&site.tree) else { return };
    browser.open(&format!("http://{address}/"));
    browser.wait_text("svweb may not look at 1 service (svctl help grant).");
    assert_eq!(browser.complaints(), [""; 0]);
}
