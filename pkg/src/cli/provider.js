// What an issuer says of itself: its discovery document (OpenID Connect Discovery §4).

import { inLine } from "./terminal.js";

/**
 * Fetches the discovery document of an issuer. Returns `{ metadata }`, or `{ problem }`, in words, with `found` if the document names
 * another issuer.
 */
export async function discover(issuer, host) {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const { failure, status, text } = await host.get(url);
  if (failure !== undefined) return { problem: `${url} cannot be fetched: ${failure}` };
  if (status !== 200) return { problem: `${url} answers ${status}: is the issuer spelled as its provider spells it?`, status };
  let metadata;
  try {
    metadata = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    return { problem: `${url} is not JSON` };
  }
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) return { problem: `${url} is not a JSON object` };
  if (metadata.issuer !== issuer && !isTemplate(issuer, metadata.issuer)) {
    if (typeof metadata.issuer !== "string") return { problem: `${url} names no issuer`, metadata };
    return { problem: `the issuer is ${shown(issuer)}, but its provider calls itself ${shown(metadata.issuer)}`, found: metadata.issuer, metadata };
  }
  return { metadata };
}

/** Whether the issuer that a provider states stands for those of its tenants. */
const isTemplate = (issuer, stated) => typeof stated === "string" && stated.includes("{tenantid}") && issuer.includes("{tenantid}");

export const shown = (text) => JSON.stringify(inLine(text).slice(0, 300));

export const isHttpUrl = (text) => {
  try {
    return ["http:", "https:"].includes(new URL(text).protocol);
  } catch {
    return false;
  }
};
