// Which of the compiled configurations a request is for.

/** What was compiled: the document as text, the variables it read, and its place among the gateways. The last one used comes first. */
const gateways = [];

/** The texts of documents that are objects: each is written as text once. */
const texts = new WeakMap();

/** The variable EDGEWARD, else the configuration handed over; undefined if neither is a document. */
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

/** What the configuration that is being compiled has read. */
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
 * The gateway of the same document and the same variables; -1 if there is none. They are compared by value at every request: it makes no
 * difference whether the runtime hands over one environment or many, and equal strings are mostly one string, which costs nothing.
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

/** The place for a gateway that was compiled from this: a new one, or that of the gateway whose last use is longest ago. */
export function keepGateway(env, config, most) {
  const number = gateways.length < most ? gateways.length : gateways.pop().number;
  gateways.unshift({ number, text: documentOf(env, config), variables: [...variables] });
  variables = new Map();
  return number;
}
