// The items of the account page: read and added through the API, with the session that the browser holds.

const status = document.querySelector("#status");
const list = document.querySelector("#items");
const form = document.querySelector("#add");

async function call(init) {
  let answer;
  try {
    answer = await fetch("/api/items", init);
  } catch {
    report("The API cannot be reached.", true);
    return;
  }
  if (answer.ok) {
    const { items } = await answer.json();
    list.replaceChildren(...items.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    report(`The API answered ${answer.status}.`, false);
    return;
  }
  const { code = "", login } = await answer.json().catch(() => ({}));
  list.replaceChildren();
  report(`The API answered ${answer.status} ${code}.`, true);
  if (answer.status === 401 && login) {
    const again = Object.assign(document.createElement("a"), { href: `${login}?return_to=/account`, textContent: "Log in again" });
    status.append(" ", again);
  }
}

function report(text, failed) {
  status.textContent = text;
  status.classList.toggle("failed", failed);
}

document.querySelector("#read").addEventListener("click", () => call());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const item = new FormData(form).get("item").trim();
  if (item === "") return;
  await call({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ item }) });
  form.reset();
});
