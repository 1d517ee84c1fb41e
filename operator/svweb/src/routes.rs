//! What each path answers.

use crate::access::{self, Client, Refusal};
use crate::control::{self, MOST_BODY};
use crate::event_stream::{EventStream, ReplyBody};
use crate::failure::say;
use crate::html;
use crate::machine::Machine;
use crate::options::Options;
use crate::replies::{
    HTML, JSON, Reply, TEXT, api, asset, busy, closing, error, error_for, reply, with_body,
};
use crate::request_path::{Route, query_value};
use crate::scrapes::Scrapes;
use crate::token::{Token, reload_trouble};
use crate::watched_tree::WatchedTree;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::rc::Rc;
use std::time::Duration;
use svctl::metrics::Form;
use svctl::service_pages::{details, findings, log_lines, machine_findings};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The requests that read files or /proc at the same time. The others wait.
const READERS: usize = 2;

/// How long a request waits for its turn, and for the body of a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the page of all services waits for the findings about the machine.
const MACHINE_PATIENCE: Duration = Duration::from_secs(2);

/// The lines of a log without `lines`, and the most.
const USUAL_LINES: usize = 200;
const MOST_LINES: usize = 2000;

const SCRIPT: &str = include_str!("page/svweb.js");
const STYLE: &str = include_str!("page/svweb.css");
const ICON: &str = include_str!("page/icon.svg");
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

/// What svweb serves.
pub(crate) struct Site {
    options: Options,
    token: RefCell<Option<Token>>,
    tree: Rc<WatchedTree>,
    scrapes: Rc<Scrapes>,
    readers: Semaphore,
    machine: Machine,
}

impl Site {
    pub(crate) fn new(options: Options, token: Option<Token>) -> Rc<Self> {
        let tree = WatchedTree::new(&options.dir);
        let scrapes = Scrapes::new(&options.dir);
        let readers = Semaphore::new(READERS);
        let machine = Machine::default();
        Rc::new(Self { options, token: RefCell::new(token), tree, scrapes, readers, machine })
    }

    /// Reads the token again.
    pub(crate) fn reload(&self) {
        let Some(path) = &self.options.token_file else { return };
        match Token::read(path) {
            Ok(token) => {
                *self.token.borrow_mut() = Some(token);
                say("token read again");
            }
            Err(failure) => say(&reload_trouble(&failure)),
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, client: &Client) -> Reply {
        let (parts, body) = request.into_parts();
        let is_api = parts.uri.path().starts_with("/api/");
        if let Err(Refusal(status, why)) = access::check(&parts, &self.options, client) {
            return closing(error(status, is_api, why));
        }
        let route = Route::of(parts.uri.path());
        if route != Route::Health && !self.may_read(&parts.headers, client) {
            return closing(error(401, is_api, "the token is missing or wrong"));
        }
        let allowed = if matches!(route, Route::ApiControl(..)) { "POST" } else { "GET, HEAD" };
        let is_allowed = match parts.method {
            Method::POST => allowed == "POST",
            Method::GET | Method::HEAD => allowed != "POST",
            _ => false,
        };
        if route == Route::Unknown {
            let is_browser = parts
                .headers
                .get(ACCEPT)
                .is_some_and(|it| it.to_str().is_ok_and(|accepted| accepted.contains("text/html")));
            let why = "there is no such page";
            let is_page = is_browser && !is_api;
            return if is_page { self.trouble_page(404, why) } else { error(404, is_api, why) };
        }
        if !is_allowed {
            let mut response = closing(error(405, is_api, "the method is not allowed here"));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        match route {
            Route::ApiControl(name, action) => {
                self.control(&parts, body, (&name, &action), client).await
            }
            route => self.read(route, &parts).await,
        }
    }

    fn may_read(&self, headers: &HeaderMap, client: &Client) -> bool {
        access::may_read(headers, self.token.borrow().as_ref(), client)
    }

    async fn read(&self, route: Route, request: &Parts) -> Reply {
        let query = request.uri.query();
        match route {
            Route::Script => asset("text/javascript; charset=utf-8", SCRIPT),
            Route::Style => asset("text/css; charset=utf-8", STYLE),
            Route::Icon => asset("image/svg+xml", ICON),
            Route::ApiDescription => reply(200, JSON, DESCRIPTION),
            Route::Health => match self.options.dir.read_dir() {
                Ok(_) => reply(200, TEXT, "ok\n"),
                Err(_) => error(503, false, "unable to read the scan directory"),
            },
            Route::List => self.list_page(query).await,
            Route::ApiServices => match self.tree.list() {
                Ok(list) => reply(200, JSON, list),
                Err(why) => error(503, true, &why),
            },
            Route::ApiEvents => self.events(request),
            Route::ApiService(name) => self.service(name).await,
            Route::ApiFindings(name) => self.findings(name).await,
            Route::ApiMachine => match self.machine_findings().await {
                Some(found) => api(200, &json!({"schema": 1, "findings": *found})),
                None => busy(true),
            },
            Route::ApiLogs(name) => self.logs(name, query).await,
            Route::Service(name) => self.service_page(name).await,
            Route::Metrics => self.metrics(request).await,
            Route::ApiControl(..) | Route::Unknown => error(404, true, "there is no such page"),
        }
    }

    /// Runs a function that reads files or /proc beside the loop. Few run at once.
    async fn beside<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = timeout(PATIENCE, self.readers.acquire()).await.ok()?.ok()?;
        let result = spawn_blocking(read).await.ok();
        drop(permit);
        result
    }

    async fn service(&self, name: OsString) -> Reply {
        let dir = self.options.dir.clone();
        let control = self.options.control;
        match self.beside(move || service_object(&dir, &name, control)).await {
            None => busy(true),
            Some(None) => error(404, true, "there is no such service"),
            Some(Some(object)) => api(200, &object),
        }
    }

    async fn findings(&self, name: Option<OsString>) -> Reply {
        let dir = self.options.dir.clone();
        match self.beside(move || findings(&dir, name.as_deref())).await {
            None => busy(true),
            Some(Err(why)) => error(503, true, &why),
            Some(Ok(None)) => error(404, true, "there is no such service"),
            Some(Ok(Some(found))) => api(200, &json!({"schema": 1, "findings": found})),
        }
    }

    async fn machine_findings(&self) -> Option<Rc<Vec<Value>>> {
        let dir = self.options.dir.clone();
        let examine = async { self.beside(move || machine_findings(&dir)).await?.ok() };
        self.machine.findings(examine).await
    }

    async fn logs(&self, name: OsString, query: Option<&str>) -> Reply {
        let text = |key: &str| match query_value(query, key) {
            None => Ok(None),
            Some(Some(value)) => String::from_utf8(value).map(Some).map_err(|_| ()),
            Some(None) => Err(()),
        };
        let (Ok(since), Ok(lines)) = (text("since"), text("lines")) else {
            return error(400, true, "the query is damaged");
        };
        let lines = match lines.map(|it| it.parse::<usize>()) {
            None => USUAL_LINES,
            Some(Ok(number)) if (1..=MOST_LINES).contains(&number) => number,
            Some(_) => return error(400, true, "lines is not a number from 1 to 2000"),
        };
        self.tree.note_log_read();
        let dir = self.options.dir.clone();
        let page = self.beside(move || log_lines(&dir, &name, since.as_deref(), lines)).await;
        match page {
            None => busy(true),
            Some(Err(why)) => error(400, true, &why),
            Some(Ok(None)) => error(404, true, "there is no such service"),
            Some(Ok(Some(page))) => api(200, &log_object(page)),
        }
    }

    fn events(&self, request: &Parts) -> Reply {
        let query = request.uri.query();
        let header = request.headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let after = query_value(query, "after").flatten().and_then(|id| String::from_utf8(id).ok());
        let log = query_value(query, "log").flatten();
        let log = log.map(std::os::unix::ffi::OsStringExt::from_vec);
        if request.method == Method::HEAD {
            return with_body(200, "text/event-stream", ReplyBody::Whole(None));
        }
        match EventStream::new(&self.tree, header.or(after.as_deref()), log) {
            Ok(stream) => with_body(200, "text/event-stream", ReplyBody::Events(stream)),
            Err(why) => error(503, true, &why),
        }
    }

    async fn list_page(&self, query: Option<&str>) -> Reply {
        let is_all = query_value(query, "all").is_some();
        // While other requests read for long, the page comes with the last ones; its script asks again.
        let machine = timeout(MACHINE_PATIENCE, self.machine_findings()).await;
        let machine = machine.ok().flatten().unwrap_or_else(|| self.machine.last());
        let views = self.tree.views();
        let status = if views.is_ok() { 200 } else { 503 };
        let Options { dir, control, .. } = &self.options;
        reply(status, HTML, html::list_page(dir, &views, &machine, is_all, *control))
    }

    async fn service_page(&self, name: OsString) -> Reply {
        let dir = self.options.dir.clone();
        let control = self.options.control;
        let page = self.beside(move || {
            let object = service_object(&dir, &name, control)?;
            let found = findings(&dir, Some(&name)).ok().flatten().unwrap_or_default();
            let log = log_lines(&dir, &name, None, USUAL_LINES).ok().flatten();
            Some(html::service_page(&dir, &object, &found, log.map(log_object).as_ref(), control))
        });
        match page.await {
            None => busy(false),
            Some(None) => self.trouble_page(404, "there is no such service"),
            Some(Some(page)) => reply(200, HTML, page),
        }
    }

    /// An error as a page with a way back.
    fn trouble_page(&self, status: u16, why: &str) -> Reply {
        reply(status, HTML, html::trouble_page(&self.options.dir, why))
    }

    /// The metrics, in the format that the client asks for.
    async fn metrics(&self, request: &Parts) -> Reply {
        let accept = request.headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
        let form = Form::from_accept(&accept.collect::<Vec<_>>().join(","));
        match self.beside(self.scrapes.begin(form)).await {
            None => busy(false),
            Some(Err(why)) => error(503, false, &why),
            Some(Ok(text)) => {
                let mut response = reply(200, form.media_type(), text);
                response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
                response
            }
        }
    }

    async fn control(
        &self,
        request: &Parts,
        body: Incoming,
        (name, action): (&OsStr, &str),
        client: &Client,
    ) -> Reply {
        let checked = access::check_control(request, &self.options, self.token.borrow().as_ref());
        if let Err(Refusal(status, why)) = checked {
            let name = name.to_string_lossy();
            say(&format!("warning: {action} of {name} refused for {client}: {why}"));
            return closing(error_for(status, true, why, "Bearer realm=\"svweb\""));
        }
        let body = timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await;
        let Ok(Ok(body)) = body else {
            return closing(error(413, true, "the body is too long, or does not come"));
        };
        if !control::is_valid(&body.to_bytes()) {
            return error(400, true, "the body has to be {}");
        }
        control::send(&self.options.dir, name, action, client)
    }
}

/// The answer in the place of a stream of events, if there is no room for one more.
pub(crate) fn without_stream() -> Reply {
    error(503, true, "too many clients have a stream of events")
}

/// The object of a service with its details.
fn service_object(dir: &std::path::Path, name: &OsStr, control: bool) -> Option<Value> {
    let (view, mut object) = details(dir, name)?;
    object.insert("schema".to_owned(), 1.into());
    object.insert("id".to_owned(), crate::request_path::encode(name).into());
    object.insert("failing".to_owned(), view.is_failing().into());
    object.insert("note".to_owned(), view.note().into());
    object.insert("control".to_owned(), control.into());
    Some(Value::Object(object))
}

fn log_object(page: svctl::service_pages::LogPage) -> Value {
    json!({
        "schema": 1,
        "lines": page.lines,
        "cursor": page.cursor,
        "has_earlier": page.has_earlier,
        "troubles": page.troubles,
    })
}
