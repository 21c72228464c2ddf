/** What modules have besides their exports, hidden: `import * as options`, `require("./options.cjs")`. */
const OF_MODULES = [Symbol.toStringTag, "__esModule"];

/**
 * Returns the members of an object of options, without a prototype, so that nothing is inherited from `Object.prototype` either. Undefined if it is
 * not a plain object: what it inherits, hides or holds inside (as a promise or a `Map` does) would be lost unnoticed, and with it a requirement.
 */
export function plain(value) {
  if (value === null || typeof value !== "object") return undefined;
  const prototype = Object.getPrototypeOf(value);
  // Every realm has an `Object.prototype` of its own.
  const isPlain = prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty"));
  if (!isPlain) return undefined;
  const members = Object.create(null);
  for (const name of Reflect.ownKeys(value)) {
    if (typeof name === "string" && Object.prototype.propertyIsEnumerable.call(value, name)) members[name] = value[name];
    else if (!OF_MODULES.includes(name)) return undefined;
  }
  return members;
}
