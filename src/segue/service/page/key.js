// @ts-check
/** The API key: asked for in a dialog when the service wants one, and kept in sessionStorage of this tab. */

import { byId } from "./dom.js";

const NAME = "segue.key";

/** The key of this tab. */
export class Key {
  constructor() {
    this.dialog = byId("key-dialog");
    this.input = byId("key");
    /** @type {Promise<string | null> | null} */
    this.question = null;
    byId("change-key").addEventListener("click", () => this.ask("The service asks for a key where it needs one."));
    byId("forget-key").addEventListener("click", () => this.#store(null));
    this.#show();
  }

  /** The key; null if none was given. */
  get value() {
    return sessionStorage.getItem(NAME);
  }

  /**
   * Ask for a key; several questions at a time are one.
   * @param {string} reason
   * @returns {Promise<string | null>} null if the dialog was closed without one.
   */
  ask(reason) {
    this.question ??= this.#ask(reason).finally(() => (this.question = null));
    return this.question;
  }

  /**
   * @param {string} reason
   * @returns {Promise<string | null>}
   */
  #ask(reason) {
    byId("key-reason").textContent = reason;
    this.input.value = "";
    this.dialog.showModal();
    const end = new AbortController();
    return new Promise((resolve) => {
      const listen = (/** @type {EventTarget} */ target, /** @type {string} */ type, /** @type {(event: Event) => void} */ act) =>
        target.addEventListener(type, act, { signal: end.signal });
      listen(byId("key-form"), "submit", (event) => {
        event.preventDefault();
        this.#store(this.input.value.trim() || null);
        this.dialog.close("used");
      });
      listen(byId("key-cancel"), "click", () => this.dialog.close("cancelled"));
      listen(this.dialog, "close", () => {
        end.abort();
        const used = this.dialog.returnValue === "used";
        this.dialog.returnValue = "";
        resolve(used ? this.value : null);
      });
    });
  }

  /** @param {string | null} value */
  #store(value) {
    if (value === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, value);
    this.#show();
  }

  #show() {
    byId("forget-key").hidden = this.value === null;
  }
}
