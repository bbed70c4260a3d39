// @ts-check
/** The view of the models: what they are, what they reached in their tests, which of them answer. */

import { Activation, modelsOf } from "./activation.js";
import { button, byId, element, table } from "./dom.js";
import { interval, moment, percent, whole } from "./format.js";
import { announce } from "./notices.js";
import { SplitForm } from "./split.js";

const FIRST = ["recall@10", "ndcg@10", "mrr@10"];

/** The view. */
export class ModelsView {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, notices) {
    this.api = api;
    this.notices = notices;
    this.activation = new Activation(api, notices, (list) => this.#draw(list));
    this.split = new SplitForm(this.activation, notices);
  }

  async show() {
    const list = await this.notices.guard("list the models", () => this.api.get("/v1/models"));
    if (list !== undefined) this.#draw(list);
  }

  /** @param {any} list */
  #draw(list) {
    const cards = list.models.map((/** @type {any} */ one) => this.#card(one, list));
    const problem = list.problem ? element("p", { class: "notice" }, `${list.problem}.`) : null;
    byId("models").replaceChildren(...(problem ? [problem] : []), ...cards);
    this.split.show(list);
  }

  /**
   * @param {any} model
   * @param {any} list
   */
  #card(model, list) {
    const alone = model.share === 1 && list.arms.length === 1 && model.status !== "changed";
    const label = model.status === "changed" ? "Activate the newer one" : "Activate";
    return element(
      "article",
      { class: model.share > 0 ? "panel live" : "panel", "aria-labelledby": `model-${model.name}` },
      element(
        "div",
        { class: "card-head" },
        element("h3", { id: `model-${model.name}` }, model.name),
        element("span", { class: model.share > 0 ? "tag both" : "tag" }, statusOf(model)),
      ),
      model.reason ? element("p", { class: "notice" }, model.reason) : null,
      model.protocol ? element("p", {}, model.protocol.sentence ?? model.protocol.name) : null,
      figuresOf(model),
      facts(model),
      alone ? null : element("p", { class: "actions" }, button(label, () => this.#activate(model, list), { "aria-label": `${label}: ${model.name}`, "data-model": model.name })),
    );
  }

  /**
   * @param {any} model
   * @param {any} list
   */
  async #activate(model, list) {
    const now = modelsOf(list.arms);
    const split = list.arms.length > 1 ? " The A/B split ends." : "";
    const text = `${now.join(" and ")} ${now.length > 1 ? "answer" : "answers"} now. Requests under way are answered as they began.${split}`;
    const words = { what: `activate ${model.name}`, title: `Let ${model.name} answer everybody?`, text, yes: `Activate ${model.name}` };
    const arms = [{ model: model.name, name: model.name, weight: 1 }];
    const shadow = list.shadow.filter((/** @type {string} */ one) => one !== model.name);
    if (!(await this.activation.change(list, arms, shadow, words))) return;
    announce(`${model.name} answers now.`);
    byId("title-models").focus();
  }
}

/** @param {any} model */
function statusOf(model) {
  if (model.share === 1) return "live for all users";
  if (model.share > 0) return `live, ${percent(model.share)} of the users`;
  return model.shadow ? "shadow" : model.status;
}

/** @param {any} model */
function figuresOf(model) {
  const names = Object.keys(model.metrics);
  if (!names.length) return model.fingerprint ? element("p", { class: "help" }, "It was never measured.") : null;
  const first = FIRST.filter((name) => names.includes(name));
  const shown = first.length ? first : names.slice(0, 3);
  const more = names.filter((name) => !shown.includes(name));
  const row = (/** @type {string} */ name) => [name, interval(model.metrics[name])];
  const caption = `Figures of ${model.name} on its test data`;
  return element(
    "div",
    {},
    table(caption, ["In its test", "Mean (95% interval)"], shown.map(row)),
    more.length
      ? element(
          "details",
          {},
          element("summary", {}, `${more.length} further figures`),
          table(`Further figures of ${model.name}`, ["In its test", "Mean (95% interval)"], more.map(row)),
        )
      : null,
  );
}

/** @param {any} model */
function facts(model) {
  const rows = [
    ["Class", model.model],
    ["Fingerprint", model.fingerprint],
    ["Protocol", model.protocol ? `${model.protocol.name} (${model.protocol.fingerprint})` : null],
    ["Arms", model.arms.some((/** @type {string} */ arm) => arm !== model.name) ? model.arms.join(", ") : null],
    ["Log", model.log ? `${model.log.name}${model.log.events ? `, ${whole(model.log.events)} events` : ""}` : null],
    ["Trained on", model.trained],
    ["Knows", model.items ? `${whole(model.items)} items, ${whole(model.users ?? 0)} users` : null],
    ["Saved", model.saved ? moment(model.saved) : null],
  ];
  const known = rows.filter(([, value]) => value);
  return known.length
    ? element("dl", {}, ...known.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))
    : null;
}
