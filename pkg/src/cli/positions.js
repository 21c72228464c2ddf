// Where the places that problems name are in a JSON text: `paths[2].integration.url` is on line 14, column 9.

/** Returns a function from an offset to its line and column, in UTF-16 units. Both count from 1. */
export function lines(text) {
  const starts = [0];
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) starts.push(end + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - starts[low] + 1 };
  };
}

/**
 * Returns the offset of each place in an acceptable document, by its name as the core writes it: that of the name of a member, and that of
 * the value of an element.
 */
export function offsets(text) {
  const places = new Map();
  let at = 0;
  const space = () => {
    while (at < text.length && " \t\r\n".includes(text[at])) at += 1;
  };
  const string = () => {
    const start = at;
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
    at += 1;
    return JSON.parse(text.slice(start, at));
  };
  /** Reads the items of an object or a list, each with `item`. */
  const items = (end, item) => {
    at += 1;
    for (space(); at < text.length && text[at] !== end; space()) {
      item();
      space();
      if (text[at] === ",") at += 1;
    }
    at += 1;
  };
  const value = (place) => {
    space();
    if (text[at] === "{") {
      items("}", () => {
        const start = at;
        const name = string();
        const member = place === "" ? name : `${place}.${name}`;
        if (!places.has(member)) places.set(member, start);
        space();
        at += 1; // the colon
        value(member);
      });
    } else if (text[at] === "[") {
      let index = 0;
      items("]", () => {
        const element = `${place}[${index}]`;
        places.set(element, at);
        index += 1;
        value(element);
      });
    } else if (text[at] === '"') {
      string();
    } else {
      while (at < text.length && !",]} \t\r\n".includes(text[at])) at += 1;
    }
  };
  value("");
  return places;
}

/** Returns the offset of a place; of one that is missing, that of the nearest place around it. */
export function offsetOf(places, place) {
  for (let end = place.length; end > 0; end -= 1) {
    const isEnd = end === place.length || place[end] === "." || place[end] === "[";
    const found = isEnd ? places.get(place.slice(0, end)) : undefined;
    if (found !== undefined) return found;
  }
  return 0;
}

/** Returns the offsets of a document with these problems. A text that is no acceptable JSON has no places; its problem states the position. */
export const placesOf = (text, problems) => (problems.some(({ path }) => path === "(document)") ? new Map() : offsets(text));

/** Adds line and column to problems; null for those of a variable. `places` are those of `text`. */
export function located(problems, places, text) {
  const lineAndColumn = lines(text);
  return problems.map(({ path, message, ...more }) => {
    if (path.endsWith(" (environment)")) return { ...more, path, message, line: null, column: null };
    if (path !== "(document)") return { ...more, path, message, ...lineAndColumn(offsetOf(places, path)) };
    // Columns of these messages count bytes.
    const [, line, bytes] = /: line (\d+), column (\d+)$/.exec(message) ?? [];
    if (line === undefined) return { ...more, path: "", message, line: 1, column: 1 };
    const before = new TextEncoder().encode(text.split("\n")[line - 1] ?? "").subarray(0, Math.max(0, bytes - 1));
    const column = new TextDecoder("utf-8", { ignoreBOM: true }).decode(before).length + 1;
    return { ...more, path: "", message: message.replace(/: line \d+, column \d+$/, ""), line: Number(line), column };
  });
}
