// @ts-check
/** A change of the models that answer: the question before it, and the request, which undoes nothing that was not seen. */

import { Problem } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId } from "./dom.js";

/** @typedef {{model: string, name: string, weight: number}} Arm */
/** @typedef {{what: string, title: string, text: string, yes: string}} Words */

/** What activates models. */
export class Activation {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   * @param {(list: any) => void} draw is given the models after a change, also one of somebody else.
   */
  constructor(api, notices, draw) {
    this.api = api;
    this.notices = notices;
    this.draw = draw;
  }

  /**
   * Ask whether a change is wanted, and make it. The choice of copying events holds for one change.
   * @param {any} list of the models, as it was shown
   * @param {Arm[]} arms
   * @param {string[]} shadow
   * @param {Words} words
   * @returns {Promise<boolean>} whether it was made
   */
  async change(list, arms, shadow, words) {
    const choice = byId("split-import");
    const copy = choice.value === "" ? {} : { import: choice.value === "true" };
    const text = copy.import ? `${words.text} ${copySentence(arms)}` : words.text;
    if (!(await confirmed(words.title, text, words.yes))) return false;
    choice.value = "";
    const body = { arms, shadow, salt: list.salt, version: list.version, ...copy };
    const found = await this.notices.guard(words.what, () => this.#send(list, body));
    if (found !== undefined) this.draw(found);
    return found !== undefined;
  }

  /**
   * @param {any} list
   * @param {object} body
   */
  async #send(list, body) {
    try {
      return await this.api.send("POST", "/v1/models/activate", body);
    } catch (error) {
      if (error instanceof Problem && error.status === 409) await this.#lookAgain(list);
      throw error;
    }
  }

  /** @param {any} list */
  async #lookAgain(list) {
    const found = await this.api.get("/v1/models");
    if (found.version !== list.version) this.draw(found);
  }
}

/**
 * The names of the models of some arms, each once.
 * @param {Arm[]} arms
 */
export const modelsOf = (arms) => [...new Set(arms.map((arm) => arm.model))];

/** @param {Arm[]} arms */
function copySentence(arms) {
  const models = modelsOf(arms);
  const logs = models.length > 1 ? "logs" : "log";
  return `All events of the ${logs} of ${models.join(" and ")} will be copied into the store, for ever.`;
}
