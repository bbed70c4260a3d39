// @ts-check
/** A list of recommended items: rank, title, score and why. */

import { button, element } from "./dom.js";
import { explanationOf } from "./explanation.js";
import { decimal, whole } from "./format.js";

const SOURCES = { popular: "popular", trending: "trending", new: "new item" };

/**
 * @typedef {{item: string, title: string, score: number, source: string, explanation?: any}} Item
 * @typedef {{model: string, arm: string, fingerprint: string, events: number, fallback: string | null, items: Item[]}} Answer
 */

/**
 * @param {Answer} answer
 * @param {Answer | null} other the answer of another model, to mark what both have.
 * @param {string} id of the heading
 * @param {(item: Item) => unknown} act what a click on an item does.
 * @returns {HTMLElement}
 */
export function recommendationsOf(answer, other, id, act) {
  const ranks = new Map((other?.items ?? []).map((one, place) => [one.item, place + 1]));
  const both = answer.items.filter((one) => ranks.has(one.item)).length;
  return element(
    "section",
    { class: "panel list", "aria-labelledby": id },
    element("h3", { id }, "Recommended by ", element("span", { class: "model-name" }, answer.model)),
    element(
      "p",
      { class: "help" },
      `${answer.arm === null || answer.arm === answer.model ? "" : `Arm ${answer.arm} · `}${whole(answer.events)} events known · weights `,
      element("code", {}, answer.fingerprint.slice(0, 8)),
      other ? ` · ${both} of ${answer.items.length} in both lists` : null,
    ),
    answer.fallback ? element("p", { class: "notice" }, `Not from the model: ${answer.fallback}.`) : null,
    answer.items.length
      ? element("ol", { class: "items" }, ...answer.items.map((one, place) => row(one, place + 1, ranks, other, act)))
      : element("p", { class: "empty" }, "No item may be recommended."),
  );
}

/**
 * @param {Item} one
 * @param {number} rank
 * @param {Map<string, number>} ranks those of the other list
 * @param {Answer | null} other
 * @param {(item: Item) => unknown} act
 */
function row(one, rank, ranks, other, act) {
  const there = ranks.get(one.item);
  const source = SOURCES[/** @type {keyof SOURCES} */ (one.source)];
  const title = button(one.title, () => act(one), {
    class: "item-title",
    dir: "auto",
    title: one.title === one.item ? null : `${one.title} (${one.item})`,
    "data-item": one.item,
  });
  return element(
    "li",
    { class: there ? "in-both" : null },
    element("span", { class: "rank" }, String(rank)),
    element(
      "div",
      { class: "item-text" },
      title,
      source ? element("span", { class: "tag" }, source) : null,
      there ? element("span", { class: "tag both" }, `in both, #${there} there`) : null,
    ),
    element("span", { class: "number score", title: "score" }, decimal(one.score)),
    one.explanation ? explanationOf(one.explanation) : null,
  );
}
