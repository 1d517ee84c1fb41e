// The page of svweb. Text from outside becomes text nodes only.
"use strict";

const SYMBOLS = { up: "●", ready: "●", failed: "▲", down: "○", paused: "‖", waiting: "↻", blocked: "↻", starting: "↻", stopping: "↻" };
const RECENT = 60_000;
const body = document.body;
const main = document.getElementById("main");
const link = document.getElementById("link");
const services = new Map();

// ---- Elements and words

function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Characters that a person does not see, or that reorder a text, are shown as escapes.
function plain(text) {
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (found) => found === "\t" ? " " : "\\u{" + found.codePointAt(0).toString(16) + "}");
}

function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return seconds + "s";
  if (seconds < 3600) return Math.floor(seconds / 60) + "m" + (seconds < 600 && seconds % 60 ? " " + (seconds % 60) + "s" : "");
  if (seconds < 86400) return Math.floor(seconds / 3600) + "h " + Math.floor(seconds / 60) % 60 + "m";
  return Math.floor(seconds / 86400) + "d " + Math.floor(seconds / 3600) % 24 + "h";
}

const count = (number, word) => number.toLocaleString("en") + " " + word + (number === 1 ? "" : "s");
const bytes = (number) => number < 1048576 ? Math.round(number / 1024) + " KiB" : (number / 1048576).toFixed(number < 10485760 ? 1 : 0) + " MiB";
const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
const endOf = (end) => !end ? "" : "exit" in end ? "exit " + end.exit : "signal" in end ? "killed by " + end.signal : "ended, unknown how";

function isFault(end) {
  if (!end) return false;
  if ("exit" in end) return ![0, 129, 130, 137, 143].includes(end.exit);
  return "signal" in end && !["HUP", "INT", "KILL", "TERM"].includes(end.signal);
}

// A service that has just come back after a fault still is a problem: it may die again.
function isRecent(it, now) {
  return it.pid !== null && isFault(it.last_end) && now - Date.parse(it.since) < RECENT;
}

const isProblem = (it, now) => it.failing || isRecent(it, now);

// What to know beyond the state.
function noteOf(it, now) {
  if (it.state === "unsupervised") return plain("not supervised: " + it.reason);
  const notes = [];
  if (it.waiting_for) notes.push("waiting for " + it.waiting_for);
  if (it.pid === null && it.state !== "down" && it.last_end) notes.push(endOf(it.last_end));
  if (isRecent(it, now)) notes.push("started after " + endOf(it.last_end));
  if (it.out_of_memory && it.failing) notes.push("out of memory");
  if (it.failures > 0) notes.push(count(it.failures, "death") + " in a row");
  if (it.reason) notes.push(it.reason);
  if (it.next_start) notes.push("next start in " + span(Date.parse(it.next_start) - now));
  if (it.state === "down") notes.push(it.wanted === "once" ? "ran once" : "wanted down");
  if (it.message) notes.push("“" + it.message + "”");
  return plain(notes.join("; "));
}

function stateOf(it) {
  return el("span", { class: "state" }, el("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[it.state] || "?"), it.state);
}

// ---- The connection

let lastId = "";
let lastSign = Date.now();
let source = null;
let pause = 1000;
let reconnect = () => {};

function setLink(text, isLost) {
  if (link.textContent !== text) link.textContent = text;
  link.className = isLost ? "lost" : "";
}

function connect(handlers, log) {
  reconnect = () => connect(handlers, log);
  // The name may have any bytes, so it stays as the server has encoded it.
  const query = [lastId && "after=" + encodeURIComponent(lastId), log && "log=" + log].filter(Boolean).join("&");
  const address = "/api/v1/events" + (query && "?" + query);
  source = new EventSource(address);
  const on = (kind, take) => source.addEventListener(kind, (event) => {
    lastSign = Date.now();
    pause = 1000;
    if (event.lastEventId) lastId = event.lastEventId;
    setLink("live", false);
    take(JSON.parse(event.data));
  });
  if (!handlers.alive) on("alive", () => {});
  for (const [kind, take] of Object.entries(handlers)) on(kind, take);
  source.onopen = () => { lastSign = Date.now(); setLink("live", false); if (handlers.opened) handlers.opened(); };
  source.onerror = () => {
    setLink("no contact: what you see may be old", true);
    if (source.readyState !== EventSource.CLOSED) return;
    // An answer such as 503: the browser does not try again by itself.
    setTimeout(reconnect, pause);
    pause = Math.min(pause * 2, 30_000);
  };
}

// The server gives a sign of life every 30 seconds. A connection that has died without a word, as after a
// sleep of this machine, is made again.
setInterval(() => {
  if (Date.now() - lastSign < 75_000) return;
  setLink("no contact: what you see may be old", true);
  lastSign = Date.now();
  source.close();
  reconnect();
}, 15_000);

function findingOf(it) {
  return el("div", { class: "finding " + (it.severity === "error" ? "error" : "warning") },
    el("p", {}, el("strong", {}, plain(it.id)), " " + it.severity), el("p", {}, plain(it.evidence)), el("pre", {}, plain(it.remedy)));
}

async function read(path) {
  const answer = await fetch(path, { cache: "no-store" });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function takeList(list) {
  services.clear();
  for (const it of list.services) services.set(it.id, it);
}

// ---- The list

function listPage() {
  let search = "";
  let filter = "all";
  let sort = "name";
  let order = [];
  let isWaiting = false;
  let isIncomplete = false;
  let isPrinted = false;
  let faults = 0;
  // What is wrong with the machine as a whole: the server has drawn it, and it is asked again when the
  // connection is new, when the page comes into view, and at every tenth sign of life.
  const machine = document.getElementById("machine") ?? el("div", { id: "machine" });
  let beats = 0;
  const summary = el("h1", { class: "summary", id: "summary", "aria-live": "polite" });
  const counts = el("p", { class: "counts" });
  const notice = el("p", { class: "notice", hidden: true });
  const problems = el("ul", { class: "problems", "aria-label": "Problems" });
  const box = el("input", { type: "search", placeholder: "Search a name  /", "aria-label": "Search a name", oninput: () => { search = box.value.toLowerCase(); draw(); } });
  const choose = (label, values, take) => el("select", { "aria-label": label, onchange: (event) => { take(event.target.value); draw(); } },
    ...values.map(([value, text]) => el("option", { value }, text)));
  const filters = choose("Show", [["all", "All states"], ["problems", "Problems"], ["up", "Up"], ["down", "Not up"]], (value) => { filter = value; });
  const sorts = choose("Sort", [["name", "By name"], ["state", "By state"], ["since", "Last changed first"]], (value) => { sort = value; });
  const bar = el("div", { class: "bar" }, box, filters, sorts);
  const rows = el("ul", { class: "services virtual", id: "list", "aria-label": "Services" });
  const nothing = el("p", { class: "empty", hidden: true });

  const isUp = (it) => it.state === "up" || it.state === "ready";
  const accepts = (it, now) => (!search || it.name.toLowerCase().includes(search)) &&
    (filter === "all" || (filter === "problems" ? isProblem(it, now) : (filter === "up") === isUp(it)));
  const rank = (it) => it.state === "failed" ? 0 : it.failing ? 1 : { waiting: 2, blocked: 2, starting: 3, stopping: 3, paused: 3, down: 4 }[it.state] ?? 5;
  const byName = (one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
  const sorted = {
    name: byName,
    state: (one, other) => rank(one) - rank(other) || byName(one, other),
    since: (one, other) => (Date.parse(other.since) || 0) - (Date.parse(one.since) || 0) || byName(one, other),
  };

  function row(it, now, isBad) {
    const kind = "row " + it.state + (it.failing ? " failing" : "") + (isBad && !it.failing ? " recent" : "");
    const note = noteOf(it, now);
    return el("li", { class: kind, "data-id": it.id }, stateOf(it),
      el("a", { class: "name", href: "/service/" + it.id, title: plain(it.name) }, plain(it.name)),
      el("span", { class: "age", title: it.since ? when(it.since) : null }, it.since ? span(now - Date.parse(it.since)) : "–"),
      el("span", { class: "note", title: note }, note));
  }

  // The same rows stay, so that the focus and a selection stay.
  function replace(list, wanted) {
    const focused = document.activeElement?.closest("li")?.dataset.id;
    const hadFocus = focused !== undefined && list.contains(document.activeElement);
    list.replaceChildren(...wanted);
    if (hadFocus) [...list.children].find((it) => it.dataset.id === focused)?.querySelector("a").focus();
  }

  const height = () => matchMedia("(max-width: 640px)").matches ? 60 : 38;

  function drawRows() {
    const now = Date.now();
    const high = height();
    const top = rows.getBoundingClientRect().top;
    const first = isPrinted ? 0 : Math.max(0, Math.floor(-top / high) - 10);
    const last = isPrinted ? order.length : Math.min(order.length, Math.ceil((innerHeight - top) / high) + 10);
    rows.style.height = order.length * high + "px";
    const made = [];
    for (let at = first; at < last; at += 1) {
      const it = row(order[at], now, false);
      it.style.top = at * high + "px";
      it.setAttribute("aria-setsize", order.length);
      it.setAttribute("aria-posinset", at + 1);
      made.push(it);
    }
    replace(rows, made);
  }

  function draw() {
    isWaiting = false;
    // Until the first list the page stays as the server has made it.
    if (!rows.isConnected) main.replaceChildren(summary, counts, notice, machine, problems, bar, nothing, rows);
    const now = Date.now();
    const all = [...services.values()];
    const bad = all.filter((it) => isProblem(it, now)).sort(sorted.state);
    const wrong = bad.length + faults;
    const text = wrong ? count(wrong, "problem") : all.length === 0 ? "No services" : "No problems";
    if (summary.textContent !== text) summary.textContent = text;
    summary.className = "summary " + (wrong ? "bad" : all.length ? "good" : "");
    document.title = (wrong ? "▲ " + text : text) + " – " + count(all.length, "service");
    const states = new Map();
    for (const it of all) states.set(it.state, (states.get(it.state) || 0) + 1);
    counts.textContent = count(all.length, "service") + (states.size ? ": " : "") + [...states].sort((one, other) => other[1] - one[1])
      .map(([state, number]) => number.toLocaleString("en") + " " + state).join(", ");
    counts.hidden = all.length === 0;
    const denied = all.filter((it) => it.reason === "access denied").length;
    const notices = [denied && "svweb may not look at " + count(denied, "service") + " (svctl help grant).",
      isIncomplete && "The kernel refuses watches (fs.inotify.max_user_watches): changes may be missing."].filter(Boolean).join(" ");
    if (notice.textContent !== notices) notice.textContent = notices;
    notice.hidden = !notices;
    problems.hidden = bad.length === 0;
    const shown = bad.slice(0, 50).map((it) => row(it, now, true));
    if (bad.length > 50) shown.push(el("li", { class: "row", "data-id": "" }, el("span", { class: "note" }, "and " + count(bad.length - 50, "further problem") + " in the list")));
    replace(problems, shown);
    order = all.filter((it) => accepts(it, now)).sort(sorted[sort]);
    bar.hidden = all.length < 2;
    nothing.hidden = order.length > 0;
    nothing.textContent = all.length === 0 ? "The scan directory has no services yet: svctl new makes one." : "No service matches.";
    drawRows();
  }

  function drawSoon() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(draw);
  }

  async function readMachine() {
    try {
      const found = (await read("/api/v1/findings/machine")).findings;
      machine.replaceChildren(...found.map(findingOf));
      faults = found.filter((it) => it.severity === "error").length;
      if (services.size || rows.isConnected) drawSoon();
    } catch { /* The old findings stay; the connection says that there is no contact. */ }
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) readMachine(); });

  addEventListener("scroll", () => requestAnimationFrame(() => rows.isConnected && drawRows()), { passive: true });
  addEventListener("resize", () => { if (rows.isConnected) drawSoon(); });
  // The event comes before the medium changes.
  for (const [event, value] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => { isPrinted = value; if (rows.isConnected) drawRows(); });
  }
  addEventListener("keydown", (event) => {
    if (!rows.isConnected) return;
    if (event.key === "/" && document.activeElement !== box && !event.ctrlKey) { event.preventDefault(); box.focus(); }
    if (event.key === "Escape" && document.activeElement === box) { box.value = ""; search = ""; draw(); box.blur(); }
  });
  setInterval(() => { if (!document.hidden && rows.isConnected) draw(); }, 1000);
  connect({
    services: (list) => {
      takeList(list);
      isIncomplete = list.incomplete;
      drawSoon();
    },
    service: (it) => { services.set(it.id, it); drawSoon(); },
    removed: (it) => { services.delete(it.id); drawSoon(); },
    alive: () => { beats += 1; if (beats % 10 === 0 && !document.hidden) readMachine(); },
    opened: readMachine,
  }, null);
}

// ---- One service

function servicePage() {
  const id = document.getElementById("service").dataset.id;
  const address = "/api/v1/services/" + id;
  const heading = el("h1", {});
  const head = el("p", { class: "head", role: "status" });
  const reason = el("p", { class: "reason" });
  const why = el("div", { class: "why", hidden: true });
  const actions = el("div", { class: "actions" });
  const findings = el("div", {}, el("p", { class: "empty" }, "svctl doctor looks for faults …"));
  const details = el("dl", {});
  const log = el("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Log" });
  const follow = el("input", { type: "checkbox", id: "follow", checked: true, onchange: () => { if (follow.checked) log.scrollTop = log.scrollHeight; } });
  let service = null;
  let cursor = null;
  let isReading = false;
  let isStale = false;
  let day = "";
  let tries = 0;

  function drawHead() {
    if (!service) return;
    const now = Date.now();
    section.className = "service " + service.state + (service.failing ? " failing" : "");
    document.title = plain(service.name) + ": " + service.state;
    heading.textContent = plain(service.name);
    head.replaceChildren(stateOf(service), el("span", { class: "age" }, service.since ? "for " + span(now - Date.parse(service.since)) : ""),
      el("span", { class: "pid" }, service.pid ? "pid " + service.pid : ""));
    reason.textContent = noteOf(service, now);
    reason.hidden = !reason.textContent;
  }

  // What svctl why says, unless the service just runs.
  function drawWhy(it) {
    const lines = (it.why ?? []).filter(Boolean);
    why.hidden = !lines.length || ((it.state === "up" || it.state === "ready") && !it.failing);
    why.replaceChildren(...lines.map((line) => el("p", {}, plain(line))));
  }

  function drawDetails(it) {
    const lines = [
      ["wanted", it.wanted], ["since", it.since && when(it.since)], ["held", it.held ? "yes: the file down exists" : null],
      ["last end", it.last_end && endOf(it.last_end) + (it.last_end.at ? ", " + when(it.last_end.at) : "")],
      ["next start", it.next_start && when(it.next_start)], ["needs", it.needs?.join(", ")], ["needed by", it.needed_by?.join(", ")],
      ["memory", it.memory ? bytes(it.memory) + " in " + count(it.processes, "process").replace("processs", "processes") : null],
      ["processor", it.cpu_seconds ? it.cpu_seconds + " s" : null],
      ["last command", it.last_request?.requester ? [it.last_request.requester.command, it.last_request.requester.user].filter(Boolean).join(", by user ") + ", " + when(it.last_request.at) : null],
      ["directory", it.path], ["log", it.log_dirs?.join(", ")],
    ];
    details.replaceChildren(...lines.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, plain(value))]));
  }

  function drawFindings(found) {
    findings.replaceChildren(...found.map(findingOf));
    if (!found.length) findings.append(el("p", { class: "empty" }, "svctl doctor finds nothing wrong with this service."));
  }

  function addLines(page) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    for (const line of page.lines) {
      const time = line.time ? new Date(line.time) : null;
      const its = time ? time.toDateString() : day;
      if (its !== day) { day = its; log.append(el("div", { class: "day" }, day)); }
      const clock = time ? time.toTimeString().slice(0, 8) + "." + line.time.slice(20, 23) : "";
      log.append(el("div", {}, el("span", { class: "time" }, clock), " " + plain(line.message)));
    }
    for (const trouble of page.troubles) log.append(el("div", { class: "error-text" }, plain(trouble)));
    while (log.childElementCount > 5000) log.firstElementChild.remove();
    cursor = page.cursor;
    if (page.lines.length) log.querySelector(".empty")?.remove();
    if (!log.childElementCount) log.append(el("div", { class: "empty" }, "No log lines were found."));
    if (follow.checked && (atEnd || page.lines.length)) log.scrollTop = log.scrollHeight;
  }

  // One request at a time: what comes meanwhile is read by the next one.
  async function readLog() {
    if (isReading) { isStale = true; return; }
    isReading = true;
    try {
      addLines(await read(address + "/logs?lines=500" + (cursor ? "&since=" + encodeURIComponent(cursor) : "")));
    } catch (error) { setLink(plain(error.message), true); }
    await new Promise((done) => setTimeout(done, 150));
    isReading = false;
    // A logger that has just started: its directory is not known at once.
    if (cursor === "c1" && tries++ < 10) setTimeout(readLog, 2000);
    if (isStale) { isStale = false; readLog(); }
  }

  async function readAll() {
    try {
      service = await read(address);
      if (!section.isConnected) {
        main.replaceChildren(el("nav", { "aria-label": "Way back" }, el("a", { href: "/" }, "← All services")), section);
        log.scrollTop = log.scrollHeight;
      }
      drawHead();
      drawWhy(service);
      drawDetails(service);
      drawFindings((await read(address + "/findings")).findings);
    } catch (error) { setLink(plain(error.message), true); }
  }

  for (const [action, what, danger] of [["up", "Start it, and restart it when it ends"], ["down", "Stop it, and keep it down", true],
    ["restart", "Stop it and start it again", true], ["reload", "Send HUP"], ["once", "Start it once"], ["pause", "Stop its process with STOP", true], ["cont", "Let its process go on"]]) {
    actions.append(el("button", { type: "button", title: what, class: danger ? "danger" : "", onclick: () => confirmAction(address, action, what, service) }, action));
  }
  actions.hidden = body.dataset.control !== "on";
  const section = el("section", { class: "service", id: "service", "data-id": id }, heading, head, reason, why, actions,
    el("h2", {}, "Findings"), findings,
    el("div", { class: "logbar" }, el("h2", {}, "Log"), el("label", { for: "follow" }, follow, " follow")), log,
    el("h2", {}, "Details"), details);
  setInterval(() => { if (!document.hidden) drawHead(); }, 1000);
  let timer = null;
  const readSoon = () => { clearTimeout(timer); timer = setTimeout(readAll, 300); };
  connect({
    services: (list) => {
      takeList(list);
      if (!services.has(id)) setLink("this service is not in the scan directory any more", true);
      readSoon();
    },
    service: (it) => {
      if (it.id !== id) return;
      service = { ...service, ...it };
      drawHead();
      readSoon();
    },
    removed: (it) => { if (it.id === id) setLink("this service is not in the scan directory any more", true); },
    log: readLog,
    opened: readLog,
  }, id);
  readAll();
}

// ---- Control

let token = "";

function confirmAction(address, action, what, service) {
  const box = el("input", { type: "password", id: "token", autocomplete: "off", value: token });
  const trouble = el("p", { class: "error-text", role: "alert" });
  const title = el("h2", { id: "title" }, action + " " + plain(service?.name ?? ""));
  const send = async (event) => {
    event.preventDefault();
    token = box.value;
    try {
      const answer = await fetch(address + "/" + action, { method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer " + token }, body: "{}" });
      if (answer.ok) { dialog.close(); return; }
      if (answer.status === 401) token = "";
      trouble.textContent = plain((await answer.json()).error);
    } catch (error) { trouble.textContent = plain(error.message); }
  };
  const form = el("form", { method: "dialog", onsubmit: send }, title, el("p", {}, what + "."), el("label", { for: "token" }, "Token"), box, trouble,
    el("div", { class: "buttons" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), el("button", { type: "submit", class: "main" }, action)));
  const dialog = el("dialog", { "aria-labelledby": "title" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  body.append(dialog);
  dialog.showModal();
  box.focus();
}

if (body.dataset.kind === "service") servicePage();
if (body.dataset.kind === "list") listPage();
