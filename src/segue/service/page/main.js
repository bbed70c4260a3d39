// @ts-check
/** The page: which view is shown, and what all views share. */

import { Api } from "./api.js";
import { byId } from "./dom.js";
import { Key } from "./key.js";
import { ModelsView } from "./models.js";
import { Notices } from "./notices.js";
import { QualityView } from "./quality.js";
import { RulesView } from "./rules.js";
import { SessionView } from "./session.js";

const key = new Key();
const api = new Api(key, (message) => {
  const banner = byId("connection");
  banner.hidden = message === null;
  banner.textContent = message ?? "";
});
const classes = { session: SessionView, quality: QualityView, models: ModelsView, rules: RulesView };
/** @type {Map<string, {show: () => Promise<void>, hide?: () => void}>} */
const views = new Map(
  Object.entries(classes).map(([name, View]) => [name, new View(api, new Notices(byId(`view-${name}`), key))]),
);

/** @param {boolean} isFirst */
function navigate(isFirst) {
  const asked = location.hash.slice(1);
  if (asked === "main" && !isFirst) return; // the link that skips the head
  const shown = views.has(asked) ? asked : "session";
  for (const [name, view] of views) {
    byId(`view-${name}`).hidden = name !== shown;
    const link = /** @type {HTMLElement} */ (document.querySelector(`nav a[href="#${name}"]`));
    if (name === shown) link.setAttribute("aria-current", "page");
    else {
      link.removeAttribute("aria-current");
      view.hide?.();
    }
  }
  document.title = `segue: ${shown}`;
  if (!isFirst) byId(`title-${shown}`).focus();
  views.get(shown)?.show();
}

addEventListener("hashchange", () => navigate(false));
navigate(true);
