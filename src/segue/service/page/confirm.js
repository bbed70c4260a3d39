// @ts-check
/** A question before something that counts for everybody. */

import { byId } from "./dom.js";

/**
 * @param {string} title
 * @param {string} text
 * @param {string} yes the button that does it
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes) {
  const dialog = byId("confirm-dialog");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  const end = new AbortController();
  return new Promise((resolve) => {
    const finish = (/** @type {string} */ answer) => () => dialog.close(answer);
    byId("confirm-yes").addEventListener("click", finish("yes"), { signal: end.signal });
    byId("confirm-no").addEventListener("click", finish("no"), { signal: end.signal });
    dialog.addEventListener("close", () => {
      end.abort();
      resolve(dialog.returnValue === "yes");
    }, { signal: end.signal });
    dialog.returnValue = "";
    dialog.showModal();
  });
}
