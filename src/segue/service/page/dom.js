// @ts-check
/** Elements made with DOM methods. A string is always a text node, so a title with HTML in it is shown as it is written. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {string | number | boolean | null | undefined} Value
 * @typedef {Node | string | null | undefined} Child
 */

/**
 * An HTML element.
 * @param {string} tag
 * @param {Record<string, Value>} [attributes] null and false leave one out; true gives it without a value.
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, Value>} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return filled(/** @type {SVGElement} */ (document.createElementNS(SVG, tag)), attributes, children);
}

/**
 * A button.
 * @param {string} text
 * @param {() => unknown} act
 * @param {Record<string, Value>} [attributes]
 * @returns {HTMLElement}
 */
export function button(text, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

/**
 * A table. The first cell of each row is its header.
 * @param {string} caption
 * @param {string[]} head
 * @param {Child[][]} rows
 * @returns {HTMLElement}
 */
export function table(caption, head, rows) {
  const cells = (/** @type {Child[]} */ row) =>
    row.map((cell, place) => (place ? element("td", {}, cell) : element("th", { scope: "row" }, cell)));
  return element(
    "table",
    {},
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
  );
}

/**
 * The element of the page with an id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * @template {Element} E
 * @param {E} made
 * @param {Record<string, Value>} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
