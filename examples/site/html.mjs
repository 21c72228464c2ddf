// HTML templates: interpolated values are escaped, unless they are templates themselves.

class Html {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

const CHARACTERS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const render = (value) => {
  if (value === undefined || value === null || value === false) return "";
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(render).join("");
  return String(value).replace(/[&<>"']/g, (character) => CHARACTERS[character]);
};

export const html = (strings, ...values) =>
  new Html(strings.reduce((text, string, index) => text + render(values[index - 1]) + string));
