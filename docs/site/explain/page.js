// The page: the form, its examples, and when the explanation is made.

import init from "../../../pkg/wasm-cli/edgeward.js";
import wasm from "../../../pkg/wasm-cli/edgeward_bg.wasm";
import { explainRequest } from "./explain-request.js";
import { element, show, showError, showNothing } from "./result.js";

/** How long the form must not change until its explanation follows. */
const PAUSE_MS = 300;

const form = document.querySelector("form");
const output = document.querySelector("#result");
const field = (name) => form.elements.namedItem(name);
let latest = 0;
let timer;

const ready = init({ module_or_path: wasm });

async function update() {
  clearTimeout(timer);
  latest += 1;
  const mine = latest;
  output.setAttribute("aria-busy", "true");
  let render;
  try {
    await ready;
    const values = Object.fromEntries(["config", "variables", "method", "url", "token", "headers", "keys", "clock"].map((name) => [name, field(name).value]));
    if (values.config.trim() === "") {
      render = () => showNothing(output);
    } else {
      const explained = await explainRequest(values);
      render = () => show(output, explained, goTo);
    }
  } catch (error) {
    render = () => showError(output, error);
  }
  // Not if the form has changed meanwhile.
  if (mine !== latest) return;
  render();
  output.setAttribute("aria-busy", "false");
  // Screen readers announce the verdict only.
  document.querySelector("#status").textContent = output.querySelector("strong")?.textContent ?? "";
}

/** Explains at once, and shows the explanation where it is below the form. */
async function updateNow() {
  await update();
  if (output.getBoundingClientRect().top > window.innerHeight * 0.6) output.parentElement.scrollIntoView();
}

/** Selects a place of the configuration. */
function goTo(line, column) {
  const text = field("config");
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(start, start + Math.max(1, lines[line - 1].length - column + 1));
  // Lines are not wrapped, so that all have the same height.
  text.scrollTop = (text.scrollHeight / lines.length) * Math.max(0, line - 3);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  updateNow();
});
form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE_MS);
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

document.querySelector("#examples").replaceChildren(
  ...EXAMPLES.map(({ title, ...values }) => {
    const button = element("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      for (const name of ["config", "variables", "url", "token", "headers", "keys", "clock"]) field(name).value = values[name] ?? "";
      field("method").value = values.method ?? "GET";
      updateNow();
    });
    return button;
  }),
);

showNothing(output);
// A browser may restore a form.
if (field("config").value !== "") update();
