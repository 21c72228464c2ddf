// VitePress's configuration. The folder of pages is assembled by scripts/docs.mjs, which passes its environment.

import { ICON, SECTIONS, TOOLS } from "./pages.mjs";

const { DOCS_OUT, DOCS_BASE, DOCS_REPOSITORY } = process.env;

/** GitHub's fragment of a heading, so that one link works in both places. */
const slugify = (heading) => heading.trim().toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

/** Pages that are not VitePress's: links to them load the whole page. */
const tools = TOOLS.map(([, address, text]) => ({ text, link: `/${address}.html`, target: "_self" }));

/**
 * Indented code has no frame of the theme that scrolls. Tables scroll on phones, where their last column, which has the text, would
 * otherwise be as narrow as its longest word.
 */
const STYLE = `.vp-doc pre { overflow-x: auto }
@media (max-width: 640px) {
  .vp-doc th, .vp-doc td { padding: 6px 10px }
  .vp-doc td:last-child { min-width: 170px }
}`;

export default {
  title: "Edgeward",
  description: "A guard at the edge: checks requests before they reach your application",
  lang: "en",
  base: DOCS_BASE,
  outDir: DOCS_OUT,
  cleanUrls: false,
  // A page that is missing fails the build. Links to files outside the site are those of the repository.
  ignoreDeadLinks: false,
  head: [["link", { rel: "icon", href: ICON }], ["style", {}, STYLE]],
  markdown: { anchor: { slugify }, toc: { slugify } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [{ text: "Configuration", link: "/configuration" }, { text: "Error codes", link: "/troubleshooting" }, ...tools],
    sidebar: [...SECTIONS.map(({ text, pages }) => ({ text, items: pages.map(([, address, title]) => ({ text: title, link: `/${address}` })) })), { text: "Tools", items: tools }],
    socialLinks: [{ icon: "github", link: DOCS_REPOSITORY }],
  },
};
