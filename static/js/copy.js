// Copies the text of the element that a button names; without JavaScript there is no button.

const SAID_FOR = 2000;

document.documentElement.classList.add("js");
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const copied = await write(source);
  say(button, copied ? button.dataset.copied : button.dataset.byHand, copied);
}

// Over plain HTTP browsers have no clipboard, but still copy what is selected.
async function write(source) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    return true;
  } catch {
    getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }
}

function say(button, words, copied) {
  const label = button.querySelector("[data-label]");
  const usual = button.dataset.usual ?? label.textContent;
  button.dataset.usual = usual;
  label.textContent = words;
  button.classList.toggle("done", copied);
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => {
    label.textContent = usual;
    button.classList.remove("done");
  }, SAID_FOR);
}
