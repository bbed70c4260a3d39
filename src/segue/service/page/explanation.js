// @ts-check
/** Why an item was recommended: a bar for each item of the history, to the right if it helps and to the left if not. */

import { element, svg } from "./dom.js";
import { signed } from "./format.js";

const SHOWN = 8; // bars of single items

/**
 * @typedef {{item: string, title: string, age: number, contribution: number}} Contribution
 * @typedef {{past: Contribution[], older: number | null, rest: number | null, rules: number, additive: boolean}} Explanation
 */

/**
 * @param {Explanation} explanation
 * @returns {HTMLElement}
 */
export function explanationOf(explanation) {
  const helping = explanation.past.filter((one) => one.contribution > 0);
  const others = helping.length > 1 ? ` and ${helping.length - 1} more` : null;
  const summary = helping.length
    ? element("summary", {}, "Because of ", element("bdi", {}, helping[0].title), others)
    : element("summary", {}, "Why");
  const parts = partsOf(explanation);
  const values = parts.map(([, value]) => value);
  const scale = { least: Math.min(0, ...values), most: Math.max(0, ...values) };
  const note = explanation.additive
    ? "The parts add up to the score."
    : "Each part is the score minus the score without the item; they need not add up.";
  return element(
    "details",
    { class: "why" },
    summary,
    element("ul", { class: "bars" }, ...parts.map(([name, value]) => bar(name, value, scale))),
    element("p", { class: "help" }, note),
  );
}

/**
 * The name and value of each bar.
 * @param {Explanation} explanation
 * @returns {[string, number][]}
 */
function partsOf(explanation) {
  /** @type {[string, number][]} */
  const parts = explanation.past.slice(0, SHOWN).map((one) => [one.title, one.contribution]);
  const further = explanation.past.slice(SHOWN);
  if (further.length) {
    parts.push([`${further.length} further items`, further.reduce((sum, one) => sum + one.contribution, 0)]);
  }
  /** @type {[string, number | null][]} */
  const rest = [
    ["Older items", explanation.older],
    ["No item, such as popularity", explanation.rest],
    ["Rules", explanation.rules],
  ];
  for (const [name, value] of rest) if (value !== null && Math.abs(value) > 1e-6) parts.push([name, value]);
  return parts;
}

/**
 * @param {string} name
 * @param {number} value
 * @param {{least: number, most: number}} scale the ends of all bars
 */
function bar(name, value, { least, most }) {
  const percent = 100 / (most - least || 1);
  const zero = -least * percent;
  const length = Math.abs(value) * percent;
  return element(
    "li",
    {},
    element("bdi", { class: "bar-name" }, name),
    element("span", { class: "number" }, signed(value)),
    svg(
      "svg",
      { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "bar-ground", width: 100, height: 10 }),
      svg("rect", { class: value < 0 ? "bar-less" : "bar-more", x: value < 0 ? zero - length : zero, width: length, height: 10 }),
    ),
  );
}
