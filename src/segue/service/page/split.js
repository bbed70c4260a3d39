// @ts-check
/** The form of the split of traffic: the weights of the models in an A/B test, and the shadow models. */

import { confirmed } from "./confirm.js";
import { byId, element, table } from "./dom.js";
import { percent } from "./format.js";
import { announce } from "./notices.js";

/** @typedef {{model: string, weight: number}} Share */
/** @typedef {{name: string, weight: HTMLInputElement, share: HTMLElement, shadow: HTMLInputElement}} Row */

/** The form. */
export class SplitForm {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   * @param {(list: any) => void} draw is given the models after a change.
   */
  constructor(api, notices, draw) {
    this.api = api;
    this.notices = notices;
    this.draw = draw;
    /** @type {any} */
    this.list = null;
    /** @type {Row[]} */
    this.rows = [];
    const form = byId("split");
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#apply();
    });
    form.addEventListener("input", () => this.#showShares());
  }

  /**
   * Show the split that holds.
   * @param {any} list of the models
   */
  show(list) {
    this.list = list;
    this.rows = list.models.filter(isLoaded).map((/** @type {any} */ model) => rowOf(model.name, list));
    byId("split").hidden = this.rows.length < 2;
    const cells = this.rows.map((row) => [row.name, row.weight, row.share, row.shadow]);
    byId("split-models").replaceChildren(table("Who answers", ["Model", "Weight", "Share", "Shadow"], cells));
    this.#showShares();
  }

  /** @returns {Share[]} of the models that the form lets answer */
  #shares() {
    const given = this.rows.map((row) => ({ model: row.name, weight: Number(row.weight.value) }));
    return given.filter((one) => one.weight > 0);
  }

  #showShares() {
    const total = this.#shares().reduce((sum, one) => sum + one.weight, 0);
    for (const { weight, share } of this.rows) {
      share.textContent = total > 0 ? percent(Math.max(0, Number(weight.value)) / total) : "–";
    }
  }

  async #apply() {
    const shares = this.#shares();
    const shadow = this.rows.filter((row) => row.shadow.checked).map((row) => row.name);
    if (shares.length && !(await confirmed("Change who answers?", sentenceOf(shares, shadow), "Apply"))) return;
    const found = await this.notices.guard("change who answers", async () => {
      if (!shares.length) throw new Error("No model has a weight above 0. Give one to at least one model.");
      const arms = shares.map((one) => ({ ...one, name: armOf(one.model, this.list) }));
      return this.api.send("POST", "/v1/models/activate", { arms, shadow, salt: this.list.salt, ...importChoice() });
    });
    if (found === undefined) return;
    this.draw(found);
    announce(`Changed. ${sentenceOf(shares, shadow)}`);
    byId("title-split").focus();
  }
}

/**
 * Whether the events of the logs of models are copied into the store, as a part of a request; empty for the usual.
 * @returns {{import?: boolean}}
 */
export function importChoice() {
  const chosen = byId("split-import").value;
  return chosen === "" ? {} : { import: chosen === "true" };
}

/** @param {any} model */
const isLoaded = (model) => ["loaded", "changed"].includes(model.status) || model.share > 0 || model.shadow;

/**
 * @param {string} name of a model
 * @param {any} list
 * @returns {Row}
 */
function rowOf(name, list) {
  const weight = armsOf(name, list).reduce((sum, arm) => sum + arm.weight, 0);
  const limits = { type: "number", min: 0, max: 1e9, step: "any", value: weight };
  const field = (/** @type {Record<string, any>} */ attributes) => /** @type {HTMLInputElement} */ (element("input", attributes));
  return {
    name,
    weight: field({ ...limits, "aria-label": `Weight of ${name}` }),
    share: element("span", { class: "number" }),
    shadow: field({ type: "checkbox", checked: list.shadow.includes(name), "aria-label": `${name} as a shadow model` }),
  };
}

/**
 * @param {string} name of a model
 * @param {any} list
 * @returns {any[]}
 */
const armsOf = (name, list) => list.arms.filter((/** @type {any} */ arm) => arm.model === name);

/**
 * The name of the arm of a model: the one that it has, so that its live quality goes on.
 * @param {string} model
 * @param {any} list
 */
function armOf(model, list) {
  const arms = armsOf(model, list);
  return arms.length === 1 ? arms[0].name : model;
}

/**
 * Who answers, in words.
 * @param {Share[]} shares
 * @param {string[]} shadow
 */
function sentenceOf(shares, shadow) {
  const total = shares.reduce((sum, one) => sum + one.weight, 0);
  const answering = shares.map((one) => `${one.model} answers ${percent(one.weight / total)} of the users`).join(", ");
  return `${answering}. ${shadow.length ? `Shadow models: ${shadow.join(", ")}` : "No model is a shadow"}.`;
}
