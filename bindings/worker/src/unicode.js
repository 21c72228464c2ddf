// What the core asks of Unicode's tables: they are part of every JavaScript engine.

export const plainForms = (text) => text.normalize("NFKC");
export const foldCase = (text) => text.toUpperCase().toLowerCase();
