//! Debian's Chromium without a screen, through chromedriver: WebDriver is HTTP with JSON.

use crate::client::read_some;
use harness::{DEADLINE, Process, Tree, requires, wait_for, wait_until};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

/// A browser with one page.
pub(crate) struct Browser {
    driver: Option<Process>,
    address: SocketAddr,
    session: String,
}

/// The switches of Chromium: nothing but the page.
const SWITCHES: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];

impl Browser {
    /// Starts a browser; `None` without one.
    pub(crate) fn start(tree: &Tree) -> Option<Self> {
        if !requires("chromium") || !requires("chromedriver") {
            return None;
        }
        let driver =
            tree.cmd("chromedriver").args(["--port=0"]).env("HOME", tree.mkdir("home")).start();
        let port: u16 = wait_for("the port of chromedriver", DEADLINE, || {
            let text = driver.stdout();
            let (_, rest) = text.split_once("started successfully on port ")?;
            rest.split('.').next()?.trim().parse().ok()
        });
        let mut browser = Self {
            driver: Some(driver),
            address: ([127, 0, 0, 1], port).into(),
            session: String::new(),
        };
        let profile = format!("--user-data-dir={}", tree.mkdir("profile").display());
        let switches: Vec<&str> = SWITCHES.iter().copied().chain([&*profile]).collect();
        let options = json!({"args": switches, "binary": "/usr/bin/chromium"});
        let wanted =
            json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let made =
            browser.call("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.address).expect("chromedriver");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let host = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        // chromedriver keeps the connection, so the length tells where the answer ends.
        let mut answer = Vec::new();
        let mut room = [0; 65536];
        let (head, body) = loop {
            let count = read_some(&mut stream, &mut room).expect("an answer of chromedriver");
            answer.extend_from_slice(&room[..count]);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|it| {
                    it.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                });
                if count == 0
                    || length.is_some_and(|length: usize| answer.len() - head.len() - 4 >= length)
                {
                    break (head.to_owned(), body.to_owned());
                }
            }
            assert!(count > 0, "chromedriver has gone: {text}");
        };
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert!(head.contains(" 200 "), "{method} {path}: {value:#}");
        value["value"].clone()
    }

    fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, format!("/session/{}/{path}", self.session).trim_end_matches('/'), body)
    }

    #[track_caller]
    pub(crate) fn open(&self, address: &str) {
        self.of_session("POST", "url", &json!({"url": address}));
    }

    /// Runs a function body in the page.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.of_session("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    /// Whether an expression is true in the page.
    fn is(&self, expression: &str) -> bool {
        self.run(&format!("return Boolean({expression})")) == true
    }

    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) {
        wait_until(expression, DEADLINE, || self.is(expression));
    }

    /// Clicks the element whose text begins so, as soon as there is one: the script of the page makes them.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str, text: &str) {
        self.wait(&format!(
            "(() => {{ const found = [...document.querySelectorAll('{selector}')]\
             .find((it) => it.innerText.startsWith('{text}')); found?.click(); return !!found; }})()"
        ));
    }

    /// The visible text of the page.
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_text(&self, text: &str) {
        wait_until(&format!("the page shows {text}"), DEADLINE, || self.text().contains(text));
    }

    fn command(&self, command: &str, parameters: &Value) -> Value {
        self.of_session("POST", "goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// From now on a page comes without its script, as where JavaScript is switched off.
    pub(crate) fn without_scripts(&self) {
        self.command("Network.enable", &json!({}));
        self.command("Network.setBlockedURLs", &json!({"urls": ["*/svweb.js"]}));
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// `light` or `dark`.
    pub(crate) fn scheme(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.command("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
    }

    /// `screen` or `print`.
    pub(crate) fn media(&self, media: &str) {
        self.command("Emulation.setEmulatedMedia", &json!({"media": media}));
    }

    /// Prints the page into a PDF in target/svweb.
    pub(crate) fn print(&self, name: &str) {
        let text = self.of_session("POST", "print", &json!({}));
        write_picture(&format!("{name}.pdf"), text.as_str().unwrap_or_default());
    }

    /// Presses a key, such as `Tab`.
    pub(crate) fn key(&self, key: &str, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "text": if kind == "keyDown" { text } else { "" },
                "windowsVirtualKeyCode": match key { "Tab" => 9, "Enter" => 13, "Escape" => 27, _ => 191 }});
            self.command("Input.dispatchKeyEvent", &event);
        }
    }

    /// Writes a picture of the page into target/svweb.
    pub(crate) fn picture(&self, name: &str) {
        let text = self.of_session("GET", "screenshot", &Value::Null);
        write_picture(&format!("{name}.png"), text.as_str().unwrap_or_default());
    }

    /// The errors and warnings of the console since the last call, without those of the network.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.of_session("POST", "se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let complaints =
            entries.iter().filter(|it| it["level"] != "INFO" && it["source"] != "network");
        complaints.map(|it| it["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.of_session("DELETE", "", &Value::Null);
        }
        drop(self.driver.take());
    }
}

/// Writes a file, which comes in base 64, into target/svweb.
fn write_picture(name: &str, text: &str) {
    let dir = harness::checkout().join("target/svweb");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join(name), decode(text)).expect("a picture");
}

/// Decodes base 64.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter_map(|it| DIGITS.iter().position(|digit| *digit == it)) {
        bits = bits << 6 | u32::try_from(digit).expect("a digit");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
