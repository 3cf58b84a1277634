// Composes as one types: asks the portal for the page of what the form says, and takes the result
// and the errors from it. The address in the browser is that page's own.

const WAIT = 250;

const form = document.getElementById("composer");
let timer = 0;
let asking = null;

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(compose, WAIT);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  compose();
});

// Only the answer to what was typed last is shown.
async function compose() {
  asking?.abort();
  asking = new AbortController();
  const url = address();
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: asking.signal });
    if (!answer.ok) throw new Error(answer.statusText);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    history.replaceState(null, "", url);
  } catch (error) {
    if (error.name !== "AbortError") sayAway();
  }
}

function address() {
  const said = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
  return `${form.getAttribute("action")}?${new URLSearchParams(said)}`;
}

function show(fresh) {
  const open = [...document.querySelectorAll("#composed details[open]")].map((each) => each.id);
  for (const part of document.querySelectorAll("[data-composed]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML) {
      part.replaceChildren(...document.importNode(next, true).childNodes);
    }
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const field of form.querySelectorAll("[id^=id-]")) {
    const isWrong = fresh.getElementById(field.id)?.hasAttribute("aria-invalid");
    field.toggleAttribute("aria-invalid", false);
    if (isWrong) field.setAttribute("aria-invalid", "true");
  }
}

// What was composed before is no longer what the form says.
function sayAway() {
  const notice = document.createElement("p");
  notice.className = "notice bad";
  notice.textContent = form.dataset.away;
  document.getElementById("composed").replaceChildren(notice);
}
