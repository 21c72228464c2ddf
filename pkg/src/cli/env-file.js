// Files of variables.

/** Reads lines `NAME=value`. A value in quotes may hold line breaks; in double quotes, `\n` is one. */
export function parseEnv(text) {
  const found = new Map();
  const line = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/gm;
  for (let match = line.exec(text); match !== null; match = line.exec(text)) {
    const quote = /["'`]/.test(text[line.lastIndex] ?? "") ? text[line.lastIndex] : undefined;
    const end = quote === undefined ? -1 : text.indexOf(quote, line.lastIndex + 1);
    if (end >= 0) {
      const value = text.slice(line.lastIndex + 1, end);
      found.set(match[1], quote === '"' ? value.replaceAll("\\n", "\n") : value);
      line.lastIndex = end + 1;
    } else {
      const rest = /.*/.exec(text.slice(line.lastIndex))[0];
      found.set(match[1], rest.replace(/(^|\s)#.*/, "").trim());
      line.lastIndex += rest.length;
    }
  }
  return found;
}
