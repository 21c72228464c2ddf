// The live page: one stream of events and one WebSocket, which echoes, both through the gateway.

const show = (id, text) => (document.querySelector(id).textContent = text);

const events = new EventSource("/live/events");
events.addEventListener("message", ({ data }) => show("#event", `Event ${data}`));
events.addEventListener("error", () => show("#event", "The connection was refused or has ended."));

const socket = new WebSocket(`${location.origin.replace("http", "ws")}/live/socket`);
socket.addEventListener("open", () => socket.send("hello"));
socket.addEventListener("message", ({ data }) => show("#message", data));
socket.addEventListener("close", () => show("#message", "The connection was refused or has ended."));
