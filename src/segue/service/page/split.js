// @ts-check
/** The form of the split of traffic: the weights of the arms of an A/B test, and the shadow models. */

import { byId, element, table } from "./dom.js";
import { percent } from "./format.js";
import { announce } from "./notices.js";

/** @typedef {import("./activation.js").Arm} Arm */
/** @typedef {{arm: Arm, weight: HTMLInputElement, share: HTMLElement, shadow: HTMLInputElement | null}} Row */

/** The form. */
export class SplitForm {
  /**
   * @param {import("./activation.js").Activation} activation
   * @param {import("./notices.js").Notices} notices
   */
  constructor(activation, notices) {
    this.activation = activation;
    this.notices = notices;
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
    this.rows = rowsOf(list);
    byId("split").hidden = this.rows.length < 2;
    const cells = this.rows.map((row) => [labelOf(row.arm), row.weight, row.share, row.shadow]);
    byId("split-models").replaceChildren(table("Who answers", ["Model", "Weight", "Share", "Shadow"], cells));
    this.#showShares();
  }

  /** @returns {Arm[]} that the form lets answer */
  #arms() {
    const given = this.rows.map((row) => ({ ...row.arm, weight: Number(row.weight.value) }));
    return given.filter((arm) => arm.weight > 0);
  }

  #showShares() {
    const total = this.#arms().reduce((sum, arm) => sum + arm.weight, 0);
    for (const { weight, share } of this.rows) {
      share.textContent = total > 0 ? percent(Math.max(0, Number(weight.value)) / total) : "–";
    }
  }

  async #apply() {
    const what = "change who answers";
    const arms = this.#arms();
    if (!arms.length) {
      this.notices.show(what, new Error("No model has a weight above 0. Give one to at least one model."));
      return;
    }
    const shadow = this.rows.filter((row) => row.shadow?.checked).map((row) => row.arm.model);
    const text = sentenceOf(arms, shadow);
    const words = { what, title: "Change who answers?", text, yes: "Apply" };
    if (!(await this.activation.change(this.list, arms, shadow, words))) return;
    announce(`Changed. ${text}`);
    byId("title-split").focus();
  }
}

/** @param {any} model */
const isLoaded = (model) => ["loaded", "changed"].includes(model.status) || model.share > 0 || model.shadow;

/**
 * The arms in their order, which decides who is in which one; then the other models that could answer.
 * @param {any} list
 * @returns {Row[]}
 */
function rowsOf(list) {
  const answering = new Set(list.arms.map((/** @type {Arm} */ arm) => arm.model));
  const names = list.models.filter(isLoaded).map((/** @type {any} */ model) => model.name);
  const others = names.filter((/** @type {string} */ name) => !answering.has(name));
  const arms = [...list.arms, ...others.map((/** @type {string} */ name) => ({ model: name, name, weight: 0 }))];
  const isFirst = (/** @type {Arm} */ arm) => arms.find((one) => one.model === arm.model) === arm;
  return arms.map((arm) => rowOf(arm, isFirst(arm) ? shadowBox(arm.model, list) : null));
}

/**
 * @param {Arm} arm
 * @param {HTMLInputElement | null} shadow of its model, in one of the rows of this model
 * @returns {Row}
 */
function rowOf(arm, shadow) {
  const limits = { type: "number", min: 0, max: 1e9, step: "any", value: arm.weight };
  return { arm, weight: input({ ...limits, "aria-label": `Weight of ${labelOf(arm)}` }), share: element("span", { class: "number" }), shadow };
}

/**
 * @param {string} model
 * @param {any} list
 */
const shadowBox = (model, list) =>
  input({ type: "checkbox", checked: list.shadow.includes(model), "aria-label": `${model} as a shadow model` });

/**
 * @param {Record<string, any>} attributes
 * @returns {HTMLInputElement}
 */
const input = (attributes) => /** @type {HTMLInputElement} */ (element("input", attributes));

/** @param {Arm} arm */
const labelOf = (arm) => (arm.name === arm.model ? arm.model : `${arm.model} (arm ${arm.name})`);

/**
 * Who answers, in words.
 * @param {Arm[]} arms
 * @param {string[]} shadow
 */
function sentenceOf(arms, shadow) {
  const total = arms.reduce((sum, arm) => sum + arm.weight, 0);
  const answering = arms.map((arm) => `${labelOf(arm)} answers ${percent(arm.weight / total)} of the users`).join(", ");
  return `${answering}. ${shadow.length ? `Shadow models: ${shadow.join(", ")}` : "No model is a shadow"}.`;
}
