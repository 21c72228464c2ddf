// What the command says of its progress, where something takes longer than a second: on a busy machine, anything may.

/** Returns the lines of progress and the others. */
export function apart(stderr) {
  const lines = stderr.split(/(?<=\n)/);
  const isProgress = (line) => line.endsWith(" …\n");
  return { progress: lines.filter(isProgress).join(""), stderr: lines.filter((line) => !isProgress(line)).join("") };
}
