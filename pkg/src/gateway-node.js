// `edgeward/gateway` in Node, which cannot run it: the import says where it runs. Otherwise, Node would name a file that no one has to know.

throw new Error(`edgeward/gateway is a Cloudflare Worker: it runs in "wrangler dev" and once deployed, not in Node, where "edgeward" verifies tokens; see ${EDGEWARD_HOMEPAGE}`);

// Names that are imported must be exported, or their absence would be the error.
export const [gateway, sessions, EdgewardSessions] = [];
export default undefined;
