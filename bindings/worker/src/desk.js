// The Durable Object through which isolates share the refreshes and the end of a session.

export async function askDesk(env, name, act, sealed, millis) {
  const desks = env.EDGEWARD_SESSIONS;
  if (desks === undefined) return undefined;
  const init = { method: "POST", body: sealed, signal: AbortSignal.timeout(millis) };
  const answer = await desks.get(desks.idFromName(name)).fetch(`https://desk.invalid/${act}`, init);
  return [answer.status, await answer.text()];
}
