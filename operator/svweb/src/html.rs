//! Pages as HTML. Text from outside gets in only through [`text`].

use crate::machine::is_error;
use crate::request_path::encode;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use svctl::View;

/// The page, with places for its title and its content.
const PAGE: &str = include_str!("page/index.html");

/// The services that a page without JavaScript shows, without `?all`.
const MOST_ROWS: usize = 300;

/// A text in HTML, between tags or in a quoted attribute. Control characters are shown as escapes.
pub(crate) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in svctl::escape(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn page(dir: &Path, title: &str, kind: &str, control: bool, main: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    // The content comes last: what it contains is not looked at again.
    PAGE.replace("{title}", &text(title))
        .replace("{kind}", kind)
        .replace("{dir}", &text(&dir.to_string_lossy()))
        .replace("{control}", if control { "on" } else { "off" })
        .replacen("{main}", main, 1)
}

/// The page of all services.
pub(crate) fn list_page(
    dir: &Path,
    views: &Result<Vec<View>, String>,
    machine: &[Value],
    is_all: bool,
    control: bool,
) -> String {
    let mut main = String::new();
    let title = match views {
        Ok(views) => {
            write_list(&mut main, views, machine, is_all);
            summary(views, machine)
        }
        Err(why) => {
            let _ = write!(main, "<h1 class=\"summary bad\" id=\"summary\">{}</h1>", text(why));
            "no services".to_owned()
        }
    };
    page(dir, &title, "list", control, &main)
}

/// The page of an error.
pub(crate) fn trouble_page(dir: &Path, why: &str) -> String {
    let why = text(why);
    let main =
        format!("<nav><a href=\"/\">← All services</a></nav><h1 class=\"summary bad\">{why}</h1>");
    page(dir, &why, "trouble", false, &main)
}

/// The state of all services in one line.
fn summary(views: &[View], machine: &[Value]) -> String {
    let failing = views.iter().filter(|view| view.is_failing()).count();
    let failing = failing + machine.iter().filter(|it| is_error(it)).count();
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    match (views.len(), failing) {
        (0, 0) => "No services".to_owned(),
        (all, 0) => format!("No problems in {all} service{}", plural(all)),
        (all, bad) => format!("{bad} problem{} in {all} service{}", plural(bad), plural(all)),
    }
}

fn write_list(main: &mut String, views: &[View], machine: &[Value], is_all: bool) {
    let is_bad = views.iter().any(View::is_failing) || machine.iter().any(is_error);
    let class = match (is_bad, views.is_empty()) {
        (true, _) => "summary bad",
        (false, true) => "summary",
        (false, false) => "summary good",
    };
    let shown = text(&summary(views, machine));
    let _ = write!(main, "<h1 class=\"{class}\" id=\"summary\">{shown}</h1><div id=\"machine\">");
    write_findings(main, machine);
    main.push_str("</div>");
    if views.is_empty() {
        main.push_str("<p class=\"empty\">The scan directory has no services yet.</p>");
        return;
    }
    let mut sorted: Vec<&View> = views.iter().collect();
    sorted.sort_by_key(|view| match view.word() {
        "failed" => 0,
        _ if view.is_failing() => 1,
        _ => 2,
    });
    let most = if is_all { usize::MAX } else { MOST_ROWS };
    main.push_str("<ul class=\"services\" id=\"plain\">");
    for view in sorted.iter().take(most) {
        let word = view.word();
        let _ = write!(
            main,
            "<li class=\"row {word}{}\"><span class=\"state\"><span class=\"symbol\" aria-hidden=\"true\">{}</span> {word}</span> \
             <a class=\"name\" href=\"/service/{}\">{}</a> <span class=\"age\">{}</span> <span class=\"note\">{}</span></li>",
            if view.is_failing() { " failing" } else { "" },
            view.symbol(),
            encode(view.name()),
            text(&view.name().to_string_lossy()),
            text(&view.age()),
            text(&view.note()),
        );
    }
    main.push_str("</ul>");
    if let Some(left) = sorted.len().checked_sub(most).filter(|left| *left > 0) {
        let _ = write!(main, "<p id=\"more\"><a href=\"/?all\">{left} more services</a></p>");
    }
}

fn write_findings(main: &mut String, findings: &[Value]) {
    for finding in findings {
        let field = |key: &str| text(finding[key].as_str().unwrap_or_default());
        let _ = write!(
            main,
            "<div class=\"finding {}\"><p><strong>{}</strong> {}</p><p>{}</p><pre>{}</pre></div>",
            field("severity"),
            field("id"),
            field("severity"),
            field("evidence"),
            field("remedy"),
        );
    }
}

/// The page of one service.
pub(crate) fn service_page(
    dir: &Path,
    object: &Value,
    findings: &[Value],
    log: Option<&Value>,
    control: bool,
) -> String {
    let string = |key: &str| object[key].as_str().unwrap_or_default();
    let list = |key: &str| object[key].as_array().cloned().unwrap_or_default();
    let (name, word) = (string("name"), string("state"));
    let failing = if object["failing"] == true { " failing" } else { "" };
    let mut main = format!(
        "<nav><a href=\"/\">← All services</a></nav><section class=\"service {word}{failing}\" id=\"service\" data-id=\"{}\"><h1>{}</h1>\
         <p class=\"head\"><span class=\"state\"><span class=\"symbol\" aria-hidden=\"true\">{}</span>{word}</span> {}</p>",
        text(string("id")),
        text(name),
        svctl::symbol_of(word),
        text(string("note")),
    );
    main.push_str("<h2>Why</h2>");
    for line in list("why").iter().filter_map(Value::as_str).filter(|line| !line.is_empty()) {
        let _ = write!(main, "<p>{}</p>", text(line));
    }
    main.push_str("<h2>Details</h2><dl>");
    for key in ["pid", "since", "wanted", "failures", "next_start", "message", "path", "memory"] {
        let value = match &object[key] {
            Value::Null => continue,
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        let _ = write!(main, "<dt>{}</dt><dd>{}</dd>", key.replace('_', " "), text(&value));
    }
    main.push_str("</dl><h2>Findings</h2>");
    if findings.is_empty() {
        main.push_str("<p>None.</p>");
    }
    write_findings(&mut main, findings);
    main.push_str("<h2>Log</h2>");
    let lines = log.and_then(|log| log["lines"].as_array()).filter(|lines| !lines.is_empty());
    if let Some(lines) = lines {
        main.push_str("<pre class=\"log\">");
        for line in lines {
            let field = |key: &str| text(line[key].as_str().unwrap_or_default());
            let _ = writeln!(main, "{} {}", field("time"), field("message"));
        }
        main.push_str("</pre>");
    } else {
        main.push_str("<p class=\"empty\">No log lines were found.</p>");
    }
    main.push_str("</section>");
    page(dir, &format!("{name}: {word}"), "service", control, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(text("<script>'\"&\u{1b}[0m"), "&lt;script&gt;&#39;&quot;&amp;\\u{1b}[0m");
        let page = page(Path::new("/{main}"), "{main}", "list", false, "{title}<b>");
        assert!(page.contains("{title}<b>"));
    }
}
