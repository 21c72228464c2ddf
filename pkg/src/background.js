/**
 * Hands background work to the caller's hook, `waitUntil`. That a hook fails decides nothing: platforms refuse work after the response, for example, and
 * the work goes on as long as it may.
 */
export async function inBackground(waitUntil, work) {
  try {
    await waitUntil(work);
  } catch {
    // As above.
  }
}
