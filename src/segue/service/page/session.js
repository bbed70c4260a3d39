// @ts-check
/** The view of one user or session: history, recommendations, events. */

import { randomName } from "./api.js";
import { byId, element } from "./dom.js";
import { moment, whole } from "./format.js";
import { announce } from "./notices.js";
import { recommendationsOf } from "./recommendations.js";

const K = 10;
const HISTORY = 30; // events that are shown

/** @typedef {import("./recommendations.js").Item} Item */

/** The view. */
export class SessionView {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(api, notices) {
    this.api = api;
    this.notices = notices;
    /** @type {string | null} */
    this.user = null;
    /** whether the session was begun here, so that it may be joined to a user */
    this.isOwn = false;
    this.isSending = false;
    this.turn = new AbortController();
    this.lists = byId("lists");
    this.history = byId("history");
    byId("find-user").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.open(byId("user").value.trim(), false);
    });
    byId("begin-session").addEventListener("click", () => this.open(`session-${randomName()}`, true));
    byId("join").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#join(byId("join-user").value.trim());
    });
    for (const id of ["left-model", "right-model"]) byId(id).addEventListener("change", () => this.refresh());
  }

  /** Fill in what there is to choose from, whenever the view is shown. */
  async show() {
    await this.notices.guard("list the models", async () => {
      const { models } = await this.api.get("/v1/models");
      this.#offer(models.filter((/** @type {any} */ one) => one.status === "loaded" || one.status === "changed"));
    });
    await this.#suggest();
    if (this.user !== null) await this.refresh();
  }

  /**
   * @param {string} user
   * @param {boolean} isOwn
   */
  async open(user, isOwn) {
    if (!user) return;
    this.user = user;
    this.isOwn = isOwn;
    byId("user").value = user;
    await this.refresh();
  }

  /** Ask for the history and the lists of now. A newer question ends an older one. */
  async refresh() {
    if (this.user === null) return;
    this.turn.abort();
    const turn = (this.turn = new AbortController());
    this.#setBusy(true);
    const [user, left, right] = [this.user, byId("left-model").value || null, byId("right-model").value || null];
    const found = await this.notices.guard(`show ${user}`, () =>
      Promise.all([
        this.api.get(`/v1/users/${encodeURIComponent(user)}`, { query: { limit: HISTORY }, signal: turn.signal }),
        this.#recommend(user, left, turn.signal),
        right === null ? null : this.#recommend(user, right, turn.signal),
      ]),
    );
    if (turn.signal.aborted) return;
    this.#setBusy(false);
    if (found === undefined) return;
    const [person, answer, other] = found;
    byId("session-empty").hidden = true;
    byId("session-shown").hidden = false;
    this.#showHistory(person);
    this.#showLists(answer, other);
    announce(`${person.events} events of ${person.user}. ${answer.items.length} items recommended by ${answer.model}.`);
  }

  /**
   * @param {string} user
   * @param {string | null} model
   * @param {AbortSignal} signal
   */
  #recommend(user, model, signal) {
    return this.api.get("/v1/recommend", { query: { user, k: K, explain: true, measure: false, model }, signal });
  }

  /** @param {Item} item */
  async #send(item) {
    if (this.isSending) return;
    this.isSending = true;
    this.#setBusy(true);
    const event = { user: this.user, item: item.item, type: "click", id: `page-${randomName()}` };
    const stored = await this.notices.guard("send the event", () => this.api.send("POST", "/v1/events", event));
    this.isSending = false;
    this.#setBusy(false);
    if (stored !== undefined) await this.refresh();
  }

  /** @param {string} user */
  async #join(user) {
    const session = encodeURIComponent(this.user ?? "");
    const joined = await this.notices.guard("join the session", () =>
      this.api.send("POST", `/v1/sessions/${session}/join`, { user }),
    );
    if (joined === undefined) return;
    byId("join-user").value = "";
    await this.open(joined.user, false);
    announce(`${joined.events} events of the session belong to ${joined.user} now.`);
    byId("user").focus();
  }

  /** @param {any} person */
  #showHistory(person) {
    const events = [...person.history].reverse();
    const shown = events.length < person.events ? `, the newest ${events.length} are shown` : "";
    byId("title-history").replaceChildren("History of ", element("bdi", {}, person.user));
    byId("history-note").textContent = person.events
      ? `${whole(person.events)} ${person.events === 1 ? "event" : "events"}${shown}.`
      : "No events yet. What is popular is recommended.";
    byId("join").hidden = !this.isOwn;
    this.history.replaceChildren(...events.map(pastEvent));
  }

  /**
   * @param {any} answer
   * @param {any} other
   */
  #showLists(answer, other) {
    const focused = this.#focusedPlace();
    const act = (/** @type {Item} */ item) => this.#send(item);
    this.lists.replaceChildren(recommendationsOf(answer, other, "title-left", act));
    if (other !== null) this.lists.append(recommendationsOf(other, answer, "title-right", act));
    this.lists.classList.toggle("two", other !== null);
    if (focused !== null) {
      const buttons = this.lists.querySelectorAll(".item-title");
      /** @type {HTMLElement | undefined} */ (buttons[Math.min(focused, buttons.length - 1)])?.focus();
    }
  }

  /** The place of the focused item among all, so that the keyboard stays where it was. */
  #focusedPlace() {
    const place = [...this.lists.querySelectorAll(".item-title")].findIndex((one) => one === document.activeElement);
    return place < 0 ? null : place;
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    for (const one of [this.lists, this.history]) one.setAttribute("aria-busy", String(isBusy));
  }

  /** @param {any[]} models */
  #offer(models) {
    for (const id of ["left-model", "right-model"]) {
      const select = byId(id);
      const chosen = select.value;
      const options = models.map((one) => element("option", { value: one.name }, one.name));
      select.replaceChildren(select.options[0], ...options);
      select.value = models.some((one) => one.name === chosen) ? chosen : "";
    }
  }

  /** Offer users who did something lately; only a key with the role admin may know their names. */
  async #suggest() {
    const found = await this.api.get("/v1/users", { query: { limit: 10 }, quiet: true }).catch(() => null);
    const users = found?.users ?? [];
    byId("recent-users").replaceChildren(...users.map((/** @type {string} */ value) => element("option", { value })));
    byId("user-help").textContent = users.length
      ? `Did something lately: ${users.slice(0, 5).join(", ")}.`
      : "The name as it is in the log.";
  }
}

/** @param {any} event */
function pastEvent(event) {
  return element(
    "li",
    {},
    element("bdi", { class: "past-title", title: event.title === event.item ? null : event.item }, event.title),
    element(
      "span",
      { class: "help" },
      event.time ? element("time", { datetime: event.time }, moment(event.time)) : null,
      event.type ? ` · ${event.type}` : null,
    ),
  );
}
