/** In what an adapter passes to a guard, the member with the request that it was made from: guards recognise a request by its object. */
export const ORIGINAL = Symbol.for("edgeward.request");
