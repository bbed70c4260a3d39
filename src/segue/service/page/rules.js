// @ts-check
/** The view of the rules: which hold, what a new one costs, and putting it live. */

import { confirmed } from "./confirm.js";
import { button, byId, element, table } from "./dom.js";
import { decimal, signed, whole } from "./format.js";
import { announce } from "./notices.js";

const USERS = 1_000; // on whom a rule is tried

/** The view. */
export class RulesView {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, notices) {
    this.api = api;
    this.notices = notices;
    /** @type {Record<string, any>} */
    this.rules = {};
    /** @type {{name: string, rule: any} | null} */
    this.tried = null;
    const form = byId("new-rule");
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#try();
    });
    form.addEventListener("input", () => this.#setTried(null));
    byId("rule-kind").addEventListener("change", () => this.#showFields());
    byId("put-rule").addEventListener("click", () => this.#put());
  }

  async show() {
    await this.notices.guard("list the rules", () => this.#read());
  }

  async #read() {
    const { rules } = await this.api.get("/v1/rules");
    this.rules = Object.fromEntries(rules.map((/** @type {any} */ one) => [one.name, one.rule]));
    const items = rules.map((/** @type {any} */ one) => this.#item(one.name, one.rule));
    byId("rules").replaceChildren(...(items.length ? items : [element("li", { class: "help" }, "No rule holds.")]));
  }

  /**
   * @param {string} name
   * @param {any} rule
   */
  #item(name, rule) {
    return element(
      "li",
      {},
      element("div", {}, element("strong", {}, name), element("span", {}, ` ${sentenceOf(rule)}`)),
      rule.description ? element("p", { class: "help" }, rule.description) : null,
      button("Delete", () => this.#delete(name), { "aria-label": `Delete the rule ${name}` }),
    );
  }

  #showFields() {
    const kind = byId("rule-kind").value;
    for (const one of byId("new-rule").querySelectorAll("[data-kinds]")) {
      one.hidden = !one.dataset.kinds.split(" ").includes(kind);
    }
  }

  async #try() {
    const name = byId("rule-name").value.trim();
    const rule = ruleOfForm();
    const others = Object.fromEntries(Object.entries(this.rules).filter(([one]) => one !== name));
    byId("cost").replaceChildren(element("p", { class: "help" }, `Ranking for the ${whole(USERS)} users with the newest events …`));
    const costs = await this.notices.guard("try the rule", async () => {
      const tryOut = (/** @type {any} */ rules) => this.api.send("POST", "/v1/rules/try", { rules, users: USERS });
      const withRule = await tryOut({ ...others, [name]: rule });
      return { withRule, before: Object.keys(this.rules).length ? await tryOut(this.rules) : null };
    });
    byId("cost").replaceChildren();
    if (costs === undefined) return;
    byId("cost").replaceChildren(...costOf(name, costs.withRule, costs.before));
    this.#setTried({ name, rule });
  }

  async #put() {
    if (this.tried === null) return;
    const { name, rule } = this.tried;
    const verb = name in this.rules ? "Replace" : "Put live";
    const text = `${sentenceOf(rule)} It holds for all answers from the next one on.`;
    if (!(await confirmed(`${verb}: ${name}?`, text, "Put it live"))) return;
    const put = await this.notices.guard("put the rule live", async () => {
      await this.api.send("PUT", `/v1/rules/${encodeURIComponent(name)}`, rule);
      await this.#read();
      return true;
    });
    if (!put) return;
    this.#setTried(null);
    announce(`The rule ${name} holds now.`);
    byId("title-rules").focus();
  }

  /** @param {string} name */
  async #delete(name) {
    if (!(await confirmed(`Delete the rule ${name}?`, sentenceOf(this.rules[name]), "Delete it"))) return;
    const deleted = await this.notices.guard("delete the rule", async () => {
      await this.api.send("DELETE", `/v1/rules/${encodeURIComponent(name)}`);
      await this.#read();
      return true;
    });
    if (!deleted) return;
    announce(`The rule ${name} holds no longer.`);
    byId("title-rules").focus();
  }

  /** @param {{name: string, rule: any} | null} tried */
  #setTried(tried) {
    this.tried = tried;
    byId("put-rule").disabled = tried === null;
    if (tried === null) byId("cost").replaceChildren();
  }
}

/** The rule in the form. */
function ruleOfForm() {
  const lines = (/** @type {string} */ id) => byId(id).value.split("\n").map((/** @type {string} */ one) => one.trim()).filter(Boolean);
  const [kind, column, values] = [byId("rule-kind").value, byId("rule-column").value.trim(), lines("rule-values")];
  if (kind === "cap") return { kind, column, at_most: Number(byId("rule-most").value), values };
  const where = column ? { [column]: values } : {};
  const rule = { kind, where, items: lines("rule-items") };
  return kind === "boost" ? { ...rule, by: Number(byId("rule-by").value) } : rule;
}

/**
 * A rule in words.
 * @param {any} rule
 * @returns {string}
 */
export function sentenceOf(rule) {
  if (rule.kind === "cap") {
    const values = rule.values?.length ? ` (${rule.values.join(", ")})` : "";
    return `At most ${rule.at_most} of each ${rule.column}${values} in a list.`;
  }
  const conditions = Object.entries(rule.where ?? {}).map(([column, values]) => `${column} ${values.join(" or ")}`);
  const parts = [conditions.join(" and "), (rule.items ?? []).length ? `the items ${rule.items.join(", ")}` : ""];
  const what = parts.filter(Boolean).join(", and ");
  if (rule.kind === "boost") {
    return `Move ${rule.by < 0 ? "down" : "up"} by ${Math.abs(rule.by)} standard deviations: ${what}.`;
  }
  return `${rule.kind === "include" ? "Recommend only" : "Never recommend"} ${what}.`;
}

/**
 * @param {string} name
 * @param {any} cost with the new rule
 * @param {any} before with the active rules; null without any
 */
function costOf(name, cost, before) {
  const change = (/** @type {any} */ one) => `${signed(one.difference)} (${signed(one.low)} to ${signed(one.high)})`;
  const row = (/** @type {string} */ what, /** @type {any} */ one) => [
    what,
    `${decimal(one.recall.without)} → ${decimal(one.recall.with_rules)}`,
    change(one.recall),
    change(one.mrr),
    `${whole(one.changed)} of ${whole(one.users)}`,
  ];
  const rows = [...(before ? [row("The active rules", before)] : []), row(`With ${name}`, cost)];
  const head = ["Against no rules", `recall@${cost.k}`, "Change of recall", `Change of MRR@${cost.k}`, "Other lists"];
  return [
    element("p", {}, `Asked of ${cost.model}: the newest event of each user, from the events before it.`),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "What the rules cost" }, table("What the rules cost, with 95% intervals", head, rows)),
  ];
}
