// The floor of a log: what a request costs whose Worker only writes a line, about as long as that of an allowed request.
const line = JSON.stringify({
  ts: "2026-11-27T12:00:00.000Z", level: "info", event: "request", ray: "8f1c2d3e4a5b6c7d-AMS", method: "GET", route: "/api/items", status: 200,
  decision: "allowed", credential: "bearer", subject: "0123456789abcdef",
});

export default {
  fetch() {
    console.log(line);
    return new Response('{"ok":true}', { headers: { "content-type": "application/json" } });
  },
};
