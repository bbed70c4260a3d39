// @ts-check
/** What goes wrong, as text in the view in which it happened. */

import { Problem } from "./api.js";
import { button, byId, element } from "./dom.js";

const ROLE = /needs the role (\w+)/;

/** The errors of one view. */
export class Notices {
  /**
   * @param {HTMLElement} view
   * @param {import("./key.js").Key} key
   */
  constructor(view, key) {
    this.place = /** @type {HTMLElement} */ (view.querySelector(".notices"));
    this.key = key;
  }

  clear() {
    this.place.replaceChildren();
  }

  /**
   * Do something; an error is shown, and the answer is then undefined.
   * @template T
   * @param {string} what such as "send the event"
   * @param {() => Promise<T>} act
   * @returns {Promise<T | undefined>}
   */
  async guard(what, act) {
    try {
      const found = await act();
      this.clear();
      return found;
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) this.show(what, error);
      return undefined;
    }
  }

  /**
   * @param {string} what
   * @param {unknown} error
   */
  show(what, error) {
    const detail = error instanceof Error ? error.message : String(error);
    const role = error instanceof Problem && error.status === 403 ? ROLE.exec(detail)?.[1] : undefined;
    const needsKey = role !== undefined || (error instanceof Problem && error.status === 401);
    const status = error instanceof Problem ? ` (${error.status} ${error.title})` : "";
    const head = role ? `To ${what}, a key with the role ${role} is needed.` : `Could not ${what}${status}.`;
    this.place.replaceChildren(
      element(
        "div",
        { class: "notice" },
        element("p", {}, element("strong", {}, head)),
        element("p", {}, detail),
        element(
          "p",
          { class: "actions" },
          needsKey ? button("Give another key", () => this.key.ask(detail)) : null,
          button("Close", () => this.clear()),
        ),
      ),
    );
  }
}

/**
 * Say something to those who listen to the page.
 * @param {string} text
 */
export function announce(text) {
  byId("announcement").textContent = text;
}
