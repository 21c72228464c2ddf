// The RSA operation in workerd: `?who=…&times=…` does so many verifications and answers when they are done.
import { Edgeward, initSync } from "bench-wasm/bench_wasm.js";
import module from "bench-wasm/bench_wasm_bg.wasm";

initSync({ module });

const octets = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const NAME = "RSASSA-PKCS1-v1_5";
let state;

async function prepare({ n, e, message, signature }) {
  const key = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, { name: NAME, hash: "SHA-256" }, false, ["verify"]);
  return { ours: new Edgeward(octets(n), octets(e), false), key, message: octets(message), signature: octets(signature) };
}

export default {
  async fetch(request, env) {
    const query = new URL(request.url).searchParams;
    const times = Number(query.get("times"));
    state ??= await prepare(env.INPUT);
    const { ours, key, message, signature } = state;
    let good = 0;
    if (query.get("who") === "edgeward") {
      for (let i = 0; i < times; i += 1) good += ours.verify(message, signature);
    } else {
      for (let i = 0; i < times; i += 1) good += await crypto.subtle.verify(NAME, key, signature, message);
    }
    return new Response(String(good));
  },
};
