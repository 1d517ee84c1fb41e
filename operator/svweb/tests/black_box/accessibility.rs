//! axe-core finds nothing wrong with the pages, for people who use a keyboard or a screen reader.

use crate::Site;
use crate::browser::mixed;
use crate::driver::Browser;
use harness::checkout;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// axe-core: the file that `DAEMONTOOLS_AXE` names, or the one that `tests/axe` fetches. `None` without it,
/// and where the name is `none`.
#[track_caller]
pub(crate) fn axe() -> Option<String> {
    let named = std::env::var_os("DAEMONTOOLS_AXE").filter(|path| !path.is_empty());
    let path = match named {
        Some(path) if path == "none" => return None,
        Some(path) => checkout().join(path),
        None => {
            let fetch = Command::new(checkout().join("tests/axe")).output();
            let fetch = fetch.expect("start the script tests/axe");
            if !fetch.status.success() {
                harness::skip(String::from_utf8_lossy(&fetch.stderr).trim_end());
                return None;
            }
            PathBuf::from(String::from_utf8_lossy(&fetch.stdout).trim_end())
        }
    };
    Some(fs::read_to_string(path).expect("axe-core"))
}

/// What axe-core finds on the page that is open: rule, element and reason. The rules are all that it
/// has, also those of good practice.
fn findings(browser: &Browser, axe: &str) -> Vec<String> {
    let script = format!(
        "if (!window.axe) {{ {axe} }}\n\
         return axe.run(document, {{ resultTypes: ['violations'] }}).then((found) => found.violations.flatMap((rule) =>\n\
         rule.nodes.map((node) => rule.id + ': ' + node.html + ': ' + node.failureSummary)))"
    );
    let found = browser.run(&script);
    found.as_array().expect("a list").iter().map(ToString::to_string).collect()
}

/// Asserts that axe-core finds nothing in any width, light or dark.
#[track_caller]
pub(crate) fn assert_accessible(browser: &Browser, axe: &str, what: &str) {
    for width in [360, 1200] {
        browser.resize(width, 800);
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            let found = findings(browser, axe);
            assert!(found.is_empty(), "{what}, {width}, {scheme}:\n{}", found.join("\n"));
        }
    }
}

#[test]
fn axe_finds_nothing_on_the_pages() {
    let site = Site::start(&[], mixed);
    site.wait_state("mailer", "failed");
    site.wait_state("web", "up");
    let Some(browser) = Browser::start(&site.tree) else { return };
    let Some(axe) = axe() else { return };
    for path in ["/", "/service/web", "/service/mailer", "/service/old", "/service/cron"] {
        browser.open(&site.url(path));
        browser.wait("document.querySelector('#link').innerText === 'live'");
        browser.wait("document.querySelector('#list li, .log div')");
        assert_accessible(&browser, &axe, path);
    }
    // The plain pages, as a browser without JavaScript shows them.
    browser.without_scripts();
    for path in ["/", "/service/web", "/service/mailer"] {
        browser.open(&site.url(path));
        browser.wait("document.querySelector('#plain, .service')");
        let page = path.rsplit('/').next().filter(|it| !it.is_empty()).unwrap_or("list");
        browser.scheme("light");
        browser.picture(&format!("{page}-plain"));
        assert_accessible(&browser, &axe, &format!("{path} without JavaScript"));
    }
}

#[test]
fn axe_finds_nothing_on_the_empty_page_and_in_the_question_for_the_token() {
    let site = Site::controlled();
    let Some(browser) = Browser::start(&site.tree) else { return };
    let Some(axe) = axe() else { return };
    browser.open(&site.url("/service/web"));
    browser.wait("document.querySelector('.actions button') && document.querySelector('#link').innerText === 'live'");
    assert_accessible(&browser, &axe, "a page with actions");
    browser.click(".actions button", "down");
    browser.wait("document.querySelector('dialog[open]')");
    assert_accessible(&browser, &axe, "the question");
    site.tree.rename("s/web", "gone");
    browser.open(&site.url("/"));
    browser.wait_text("The scan directory has no services yet");
    assert_accessible(&browser, &axe, "the empty page");
    for path in ["/service/web", "/nowhere"] {
        browser.open(&site.url(path));
        browser.wait_text("there is no such");
        assert_accessible(&browser, &axe, path);
    }
}

#[test]
fn axe_finds_something_where_something_is_wrong() {
    let site = Site::start(&[], |_| {});
    let Some(browser) = Browser::start(&site.tree) else { return };
    let Some(axe) = axe() else { return };
    browser.open(&site.url("/"));
    // The page is drawn by its script, which leaves the button alone from now on.
    browser.wait("document.querySelector('.bar')");
    browser.run("document.querySelector('main').append(document.createElement('button'))");
    let found = findings(&browser, &axe);
    assert!(found.iter().any(|it| it.contains("button-name")), "{found:?}");
}
