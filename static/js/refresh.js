// Looks again at a page on which something is in the making, and swaps the parts that moved.
// The page says by data-refresh on <main> after how many seconds; without it only when it is asked
// to by an event "look". By data-look it may name a lighter page with the same parts.

const main = document.querySelector("main");
if (main.dataset.refresh) later(main.dataset.refresh);
document.addEventListener("look", () => look(0));

function later(seconds) {
  setTimeout(look, Number(seconds) * 1000, seconds);
}

async function look(seconds) {
  if (document.hidden) {
    document.addEventListener("visibilitychange", () => look(seconds), { once: true });
    return;
  }
  try {
    const answer = await fetch(main.dataset.look ?? location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) seconds = show(await answer.text());
  } catch {
    // The portal is away for a moment: keep what is shown, and look again.
  }
  if (seconds) later(seconds);
}

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML && !isInUse(part)) swap(part, next);
  }
  document.title = fresh.title;
  return fresh.querySelector("main")?.dataset.refresh;
}

function isInUse(part) {
  const selection = getSelection();
  const selects = !selection.isCollapsed && part.contains(selection.anchorNode);
  return selects || part.querySelector(".done") !== null;
}

function swap(part, next) {
  const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
  const focused = part.contains(document.activeElement) ? describe(document.activeElement) : null;
  part.replaceChildren(...document.importNode(next, true).childNodes);
  for (const id of open) part.querySelector(`details[id="${id}"]`)?.setAttribute("open", "");
  if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
}

function describe(element) {
  for (const name of ["id", "href", "data-copy"]) {
    const value = element.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}
