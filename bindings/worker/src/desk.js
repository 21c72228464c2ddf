// The Durable Object through which isolates share the refreshes and the end of a session.

export async function askDesk(env, name, act, sealed) {
  const desks = env.EDGEWARD_SESSIONS;
  if (desks === undefined) return undefined;
  const answer = await desks.get(desks.idFromName(name)).fetch(`https://desk.invalid/${act}`, { method: "POST", body: sealed });
  return [answer.status, await answer.text()];
}
