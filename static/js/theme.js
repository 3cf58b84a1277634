// Switches between light and dark at once; without JavaScript the same button posts a form.

const YEAR = 365 * 24 * 3600;

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".theme")) return;
  event.preventDefault();
  const root = document.documentElement;
  const usual = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const present = root.dataset.theme || usual;
  const wanted = present === "dark" ? "light" : "dark";
  // What the system has anyway need not be remembered.
  remember(wanted === usual ? "" : wanted);
  if (wanted === usual) delete root.dataset.theme;
  else root.dataset.theme = wanted;
});

function remember(theme) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  const age = theme ? YEAR : 0;
  document.cookie = `theme=${theme}; path=/; max-age=${age}; samesite=lax${secure}`;
}
