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

/** The values read from Secrets Store bindings. A value that is not available is absent, never empty. */
const secrets = new WeakMap();

const isStored = (value) => typeof value === "object" && value !== null && typeof value.get === "function";

export function valueOf(env, name) {
  const value = env?.[name];
  return typeof value === "string" ? value : isStored(value) ? secrets.get(value) : undefined;
}

/** A secret that is not available is requested again after a pause. */
const RETRY_MS = 5000;
const TIMEOUT_MS = 5000;
let retryAt = 0;

/** The variables that configurations read without naming them. */
const STAND_INS = /^(AUTH0_\w+|APP_BASE_URL)$/;

const isUnread = (env, name) => isStored(env?.[name]) && !secrets.has(env[name]);

/** Returns the names of the secrets of a document that are in a Secrets Store and have not been read. */
function unreadSecrets(env, text = "") {
  const names = new Set(Array.from(text.matchAll(/\$(?:secrets?|env)\.(\w+)/g), ([, name]) => name));
  for (const name of Object.keys(env ?? {})) if (STAND_INS.test(name)) names.add(name);
  return [...names].filter((name) => isUnread(env, name));
}

/** Reads the secrets of the configuration that are in a Secrets Store. Returns a promise if there are any to read. */
export function readSecrets(env, config) {
  const names = unreadSecrets(env, documentOf(env, config));
  if (names.length === 0 || Date.now() < retryAt) return undefined;
  return Promise.all(names.map((name) => readSecret(name, env[name])));
}

async function readSecret(name, binding) {
  let timer;
  const expired = new Promise((resolve) => (timer = setTimeout(resolve, TIMEOUT_MS)));
  try {
    const value = await Promise.race([binding.get(), expired]);
    if (typeof value !== "string" || value === "") throw new TypeError();
    secrets.set(binding, value);
  } catch {
    retryAt = Date.now() + RETRY_MS;
    console.error(`edgeward: secret_unavailable: the Secrets Store binding ${name} returned no value; it is requested again`);
  } finally {
    clearTimeout(timer);
  }
}

/** The variables read by the configuration being compiled. */
let variables = new Map();

export function variableOf(env, name) {
  const value = valueOf(env, name);
  variables.set(name, value);
  return value;
}

/**
 * Whether the configuration being compiled read a variable that is in a Secrets Store and is not available. It is not absent: a
 * configuration without it could seal sessions with another key, or have no audience.
 */
export const lacksVariables = (env) => [...variables.keys()].some((name) => isUnread(env, name));

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
    if (gateway.text !== text || !readsTheSame(gateway, env) || (gateway.lacksSecrets && Date.now() >= retryAt)) continue;
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
  const text = documentOf(env, config);
  gateways.unshift({ number, text, variables: [...variables], lacksSecrets: lacksVariables(env) || unreadSecrets(env, text).length > 0 });
  variables = new Map();
  return number;
}
