// Follows the log of a build: by server-sent events, and by asking now and then where those are
// refused. Never more than 2,000 lines in the page; text is set as text, classes are a closed set.

const MOST = 2000;
const DRAW_EVERY = 200;
const POLL_EVERY = 4000;
const TRY_EVENTS_AGAIN = 60000;
const LOOK_WITHIN = 1500;
const CLASSES =
  /^ansi-(bold|faint|italic|underlined|black|red|green|yellow|blue|magenta|cyan|white)$/;

const log = document.getElementById("log");
const tools = document.getElementById("log-tools");
const said = document.getElementById("log-said");
const language = JSON.parse(tools?.dataset.words ?? "{}");
const bar = () => document.getElementById("build-bar");
const words = (id, text) => {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
};

let last = Number(log?.dataset.last ?? 0);
let waiting = [];
let drawing = 0;
let source = null;
let polling = 0;
let ended = false;
let shown = "";
let progress = null;

if (log) {
  tools.hidden = false;
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", changed);
  log.addEventListener("scroll", scrolled, { passive: true });
  addEventListener("hashchange", goToLine);
  goToLine();
  if ("atEnd" in log.dataset && !location.hash) log.scrollTop = log.scrollHeight;
  if ("follow" in log.dataset) {
    document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
    setInterval(tellTime, 1000);
    if (!document.hidden) start();
  }
}

// What comes.

function start() {
  if (ended || source) return;
  clearTimeout(polling);
  source = new EventSource(`${log.dataset.events}?after=${last}&tail=${MOST}`);
  source.addEventListener("log", (event) => take(JSON.parse(event.data)));
  source.addEventListener("progress", (event) => tellProgress(JSON.parse(event.data)));
  source.addEventListener("end", finish);
  source.addEventListener("error", () => {
    // Closed for good: too many watch, or there is nothing more. Otherwise it comes back by itself.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    poll(TRY_EVENTS_AGAIN);
  });
}

// A hidden page gives its place to others; browsers open only six connections to one host.
function stop() {
  source?.close();
  source = null;
  clearTimeout(polling);
}

async function poll(left) {
  if (left <= 0) {
    start();
    return;
  }
  polling = setTimeout(poll, POLL_EVERY, left - POLL_EVERY);
  try {
    // From the end where much was missed, as only that is shown.
    const answer = await fetch(`${log.dataset.build}?from=${last + 1}&most=${MOST}`);
    if (!answer.ok) return;
    const some = await answer.json();
    take(some);
    if (some.total > last) await catchUp();
    look();
    if (some.is_final && some.total <= last) finish();
  } catch {
    // The portal is away for a moment.
  }
}

async function catchUp() {
  const answer = await fetch(`${log.dataset.build}?most=${MOST}`);
  if (answer.ok) take(await answer.json());
}

function take({ first, lines }) {
  if (!lines.length) return;
  const end = first + lines.length - 1;
  if (end <= last) return;
  const fresh = first <= last ? lines.slice(last + 1 - first) : lines;
  if (first > last + 1) waiting = [];
  const start = end - fresh.length + 1;
  for (let at = Math.max(0, fresh.length - MOST); at < fresh.length; at += 1) {
    waiting.push([start + at, fresh[at]]);
  }
  if (waiting.length > MOST) waiting = waiting.slice(-MOST);
  last = end;
  drawing ||= setTimeout(draw, DRAW_EVERY);
}

function finish() {
  ended = true;
  stop();
  look();
}

// What is seen.

function draw() {
  drawing = 0;
  if (!waiting.length) return;
  if (!tools.follow.checked) {
    say();
    return;
  }
  const present = log.children;
  const tail = present.length ? Number(present[present.length - 1].id.slice(1)) : 0;
  if (waiting[0][0] !== tail + 1) log.replaceChildren();
  const surplus = present.length + waiting.length - MOST;
  if (surplus > 0) {
    const range = document.createRange();
    range.setStart(log, 0);
    range.setEnd(log, Math.min(surplus, present.length));
    range.deleteContents();
  }
  const find = tools.find.value.toLowerCase();
  log.append(...waiting.map(([number, line]) => element(number, line, find)));
  waiting = [];
  log.hidden = false;
  document.getElementById("log-empty")?.remove();
  log.scrollTop = log.scrollHeight;
  const held = log.children.length;
  const all = counted(last, "line");
  const lines = counted(held, "line");
  words("log-count", `${held < last ? sentence("last", { lines, all }) : all}, `);
  say();
}

function element(number, line, find) {
  const row = document.createElement("span");
  row.className = "line";
  row.id = `L${number}`;
  const anchor = document.createElement("a");
  anchor.href = `#L${number}`;
  anchor.dataset.n = number;
  anchor.tabIndex = -1;
  anchor.ariaHidden = "true";
  row.append(anchor);
  if (typeof line === "string") row.append(line);
  else row.append(...line.map(([text, classes]) => run(text, classes)));
  row.append("\n");
  row.hidden = find !== "" && !row.textContent.toLowerCase().includes(find);
  return row;
}

function run(text, classes) {
  const span = document.createElement("span");
  span.classList.add(...classes.split(" ").filter((name) => CLASSES.test(name)));
  span.textContent = text;
  return span;
}

// What a person does.

function changed() {
  log.classList.toggle("unwrapped", !tools.wrap.checked);
  const find = tools.find.value.toLowerCase();
  if (find !== shown) {
    shown = find;
    for (const row of log.children) {
      row.hidden = find !== "" && !row.textContent.toLowerCase().includes(find);
    }
  }
  if (tools.follow.checked) {
    log.scrollTop = log.scrollHeight;
    draw();
  }
  say();
}

function scrolled() {
  if (tools.follow.disabled) return;
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  if (isAtEnd === tools.follow.checked) return;
  tools.follow.checked = isAtEnd;
  if (isAtEnd) draw();
}

function say() {
  const parts = [];
  if (shown) {
    const found = [...log.children].filter((row) => !row.hidden).length;
    parts.push(sentence("shown", { lines: counted(found, "line"), all: number(log.children.length) }));
  }
  if (waiting.length) parts.push(sentence("below", { lines: counted(waiting.length, "new line") }));
  said.textContent = parts.join(", ");
}

function goToLine() {
  const number = Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
  if (!number || document.getElementById(`L${number}`) || number > last) return;
  const asked = new URLSearchParams(location.search).get("from");
  const first = Math.max(1, number - MOST / 2);
  if (asked !== String(first)) location.replace(`?from=${first}#L${number}`);
}

// How far it is.

function tellProgress(fresh) {
  const before = progress;
  progress = fresh;
  if (bar() && fresh.percent !== null) bar().value = fresh.percent;
  words("build-words", progressWords(fresh));
  tellTime();
  const percentAppeared = before && (before.percent === null) !== (fresh.percent === null);
  if (!before || before.status !== fresh.status || before.stage !== fresh.stage || percentAppeared) {
    look();
  } else if (before.percent !== fresh.percent) {
    tellPercent(fresh.percent);
  }
}

function tellPercent(percent) {
  const word = document.querySelector("#build-live .title .state > span:last-child");
  if (word) word.textContent = word.textContent.replace(/\d+%/, `${percent}%`);
  document.title = document.title.replace(/\d+%/, `${percent}%`);
}

function progressWords(now) {
  const parts = [];
  if (now.derivations_expected) {
    const derivations = counted(now.derivations_expected, "derivation");
    parts.push(sentence("built", { done: number(now.derivations_done), derivations }));
  }
  if (now.bytes_expected) {
    parts.push(sentence("fetched", { done: size(now.bytes_done), all: size(now.bytes_expected) }));
  }
  return parts.join(", ");
}

function tellTime() {
  if (ended || !progress?.started_at) return;
  const elapsed = clock(Math.max(0, (Date.now() - Date.parse(progress.started_at)) / 1000));
  const expected = progress.expected_seconds;
  words(
    "build-timing",
    expected === null
      ? sentence("so far", { elapsed })
      : sentence("of about", { elapsed, expected: clock(expected) }),
  );
}

// Everybody who watches gets the news at once; they don't have to come for the page at once.
function look() {
  setTimeout(() => document.dispatchEvent(new Event("look")), Math.random() * LOOK_WITHIN);
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [whole / 3600, (whole % 3600) / 60, whole % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function size(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1024;
    power += 1;
  }
  const places = power && count < 100 ? 1 : 0;
  const format = { minimumFractionDigits: places, maximumFractionDigits: places };
  return `${count.toLocaleString(language.locale, format)} ${units[power]}`;
}

// The words come with the page, in its language; see log_words in the template tags.

function counted(count, noun) {
  return language[noun][count === 1 ? 0 : 1].replace("{count}", number(count));
}

function sentence(name, parts) {
  return language[name].replace(/\{(\w+)\}/g, (_, part) => parts[part]);
}

function number(count) {
  return count.toLocaleString(language.locale);
}
