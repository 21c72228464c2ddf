// The cache of compiled configurations.

/** The compiled gateways: the document as text, the variables it read, and its number. The most recently used comes first. */
const gateways = [];

/** The texts of documents that are objects, so that each is serialized once. */
const texts = new WeakMap();

/** Returns the variable EDGEWARD, else the given configuration; undefined if neither is a document. */
export function documentOf(env, config) {
  const document = env?.EDGEWARD === undefined ? config : env.EDGEWARD;
  if (typeof document === "string") return document;
  if (typeof document !== "object" || document === null) return undefined;
  let text = texts.get(document);
  if (text === undefined) texts.set(document, (text = JSON.stringify(document)));
  return text;
}

function valueOf(env, name) {
  const value = env?.[name];
  return typeof value === "string" ? value : undefined;
}

/** The variables read by the configuration being compiled. */
let variables = new Map();

export function variableOf(env, name) {
  const value = valueOf(env, name);
  variables.set(name, value);
  return value;
}

function readsTheSame({ variables }, env) {
  for (let i = 0; i < variables.length; i += 1) {
    if (valueOf(env, variables[i][0]) !== variables[i][1]) return false;
  }
  return true;
}

/**
 * Returns the number of the gateway with the same document and variables, or -1. They are compared by value at every request, because
 * the runtime may pass a new environment each time; equal strings are mostly the same object, so this costs little.
 */
export function findGateway(env, config) {
  const text = documentOf(env, config);
  for (let i = 0; i < gateways.length; i += 1) {
    const gateway = gateways[i];
    if (gateway.text !== text || !readsTheSame(gateway, env)) continue;
    if (i > 0) {
      gateways.splice(i, 1);
      gateways.unshift(gateway);
    }
    return gateway.number;
  }
  return -1;
}

/** Adds a compiled gateway and returns its number: a new one, or that of the least recently used gateway. */
export function addGateway(env, config, maxGateways) {
  const number = gateways.length < maxGateways ? gateways.length : gateways.pop().number;
  gateways.unshift({ number, text: documentOf(env, config), variables: [...variables] });
  variables = new Map();
  return number;
}
