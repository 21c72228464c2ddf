// VitePress's configuration. The folder of pages is assembled by scripts/docs.mjs, which passes its environment.

import { SECTIONS } from "./pages.mjs";

const { DOCS_OUT, DOCS_BASE, DOCS_REPOSITORY } = process.env;

/** GitHub's fragment of a heading, so that one link works in both places. */
const slugify = (heading) => heading.trim().toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

/** A shield. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#3451b2" d="M8 0 2 2v5c0 4 2.5 7 6 9 3.5-2 6-5 6-9V2z"/></svg>`;

export default {
  title: "Edgeward",
  description: "A guard at the edge: checks requests before they reach your application",
  lang: "en",
  base: DOCS_BASE,
  outDir: DOCS_OUT,
  cleanUrls: false,
  // A page that is missing fails the build. Links to files outside the site are those of the repository.
  ignoreDeadLinks: false,
  // Indented code has no frame of the theme that scrolls.
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }], ["style", {}, ".vp-doc pre { overflow-x: auto }"]],
  markdown: { anchor: { slugify }, toc: { slugify } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [{ text: "Configuration", link: "/configuration" }, { text: "Error codes", link: "/troubleshooting" }],
    sidebar: SECTIONS.map(({ text, pages }) => ({ text, items: pages.map(([, address, title]) => ({ text: title, link: `/${address}` })) })),
    socialLinks: [{ icon: "github", link: DOCS_REPOSITORY }],
  },
};
