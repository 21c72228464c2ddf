// The floor: what a request costs when nothing is decided.
export default { fetch: () => new Response('{"ok":true}', { headers: { "content-type": "application/json" } }) };
