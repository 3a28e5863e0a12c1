// Pages by the address's #, keys, and the look of day or night.

import { h } from "./dom.js";
import { meta, start } from "./model.js";
import { restore } from "./decisions.js";
import { examplesPage } from "./examples.js";
import { examplePage } from "./example.js";
import { pairsPage } from "./pairs.js";
import { suspectsPage } from "./suspects.js";
import { comparePage } from "./compare.js";

const app = /** @type {HTMLElement} */ (document.getElementById("app"));

const go = (/** @type {string} */ route) => { location.hash = `#/${route}`; };

const KEYS = [
  ["/", "search"], ["arrows", "move in a list"], ["Enter", "open an example"], ["← →", "previous and next example"],
  ["1 2 3", "decide: wrong, hard, rare"], ["Esc", "back to the list"], ["?", "these keys"],
];

/** Day, night, or as the system has it. */
function lookSwitch() {
  const looks = ["system", "light", "dark"];
  let look = "system";
  try {
    look = localStorage.getItem("jaxmem-look") ?? look;
  } catch { /* a page in a frame has no storage */ }
  const button = h("button", { type: "button", class: "quiet", onclick: () => { look = looks[(looks.indexOf(look) + 1) % 3]; apply(); } });
  const night = matchMedia("(prefers-color-scheme: dark)");
  night.addEventListener("change", () => apply());
  const apply = () => {
    document.documentElement.dataset.look = look !== "system" ? look : night.matches ? "dark" : "light";
    button.textContent = { system: "◐", light: "☀", dark: "☾" }[look] ?? "◐";
    button.setAttribute("aria-label", `look: ${look}; change it`);
    button.title = `look: ${look}`;
    try {
      localStorage.setItem("jaxmem-look", look);
    } catch { /* as above */ }
  };
  apply();
  return button;
}

function help() {
  const dialog = h("dialog", { class: "keys", "aria-label": "keys" }, h("h2", {}, "Keys"),
    h("dl", {}, ...KEYS.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])),
    h("button", { type: "button", class: "main", onclick: () => dialog.close() }, "close"));
  return dialog;
}

async function main() {
  history.scrollRestoration = "manual";
  await start();
  restore();
  /** @type {Record<string, {element: HTMLElement, show: (...args: any[]) => any, search?: HTMLElement, list?: import("./list.js").List}>} */
  const made = {};
  const make = {
    "": () => examplesPage(go), train: () => examplePage(go), test: () => examplePage(go),
    pairs: () => pairsPage(go), suspects: () => suspectsPage(go), compare: () => comparePage(go),
  };
  const tabs = [["", "Examples"], ["pairs", "Pairs"], ["suspects", "Suspects"], ...(meta.compare ? [["compare", "Compare"]] : [])];
  const keys = help();
  const links = tabs.map(([route, name]) => h("a", { href: `#/${route}` }, name));
  app.append(
    h("a", { class: "skip", href: "#content", onclick: (event) => { event.preventDefault(); place.focus(); } }, "skip to the content"),
    h("header", { class: "top" }, h("a", { class: "title", href: "#/" }, meta.title), h("nav", { "aria-label": "pages" }, ...links),
      h("span", { class: "tools" }, h("button", { type: "button", class: "quiet", "aria-label": "keys", title: "keys (?)", onclick: () => keys.showModal() }, "?"), lookSwitch())),
    keys);
  const place = h("div", { id: "content", tabindex: "-1" });
  app.append(place);

  /** @type {Map<string, number>} */
  const scrolled = new Map();
  let route = "";
  const open = async () => {
    scrolled.set(route, scrollY);
    const back = /^(train|test)\//.test(route);
    route = location.hash.replace(/^#\/?/, "");
    const [name, row] = route.split("/");
    const known = name in make && (row === undefined || Number(row) < meta.sizes[name]);
    const page = known ? name : "";
    made[page] ??= make[page]();
    links.forEach((link, k) => link.toggleAttribute("aria-current", tabs[k][0] === page));
    place.replaceChildren(made[page].element);
    await made[page].show(page, Number(row));
    scrollTo(0, page === "train" || page === "test" ? 0 : scrolled.get(route) ?? 0);
    if (back) made[page].list?.take(); // the keys go on where they were
    document.documentElement.dataset.ready = route || "examples";
  };
  addEventListener("hashchange", open);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /** @type {HTMLElement} */ (event.target).matches("input, select, textarea");
    if (event.key === "Escape" && !keys.open) {
      if (typing) /** @type {HTMLElement} */ (event.target).blur();
      else if (/^(train|test)\//.test(route)) history.back();
      return;
    }
    if (typing) return;
    if (event.key === "/") {
      event.preventDefault();
      if (route === "") made[""].search?.focus();
      else {
        addEventListener("hashchange", () => setTimeout(() => made[""]?.search?.focus()), { once: true });
        go("");
      }
    } else if (event.key === "?") keys.showModal();
    else if (/^(train|test)\//.test(route)) {
      const target = document.querySelector(`.walk [data-key="${event.key}"], .decide-line [data-key="${event.key}"]`);
      if (target instanceof HTMLElement) target.click();
    }
  });
  await open();
  performance.mark("jaxmem-first-view");
}

main().catch((error) => {
  app.append(h("p", { class: "warning", role: "alert" }, `The report cannot be shown: ${error.message}`));
  throw error;
});
