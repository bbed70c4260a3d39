// @ts-check
/** Requests to the service: the key is sent along, a lost connection is said and tried again, errors are `Problem`s. */

/** @typedef {import("./key.js").Key} Key */

const WAITS = [1, 2, 4, 8]; // seconds between the attempts; the last one is repeated

/** An error of the service (problem details, RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {string} detail
   */
  constructor(status, title, detail) {
    super(detail);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** @typedef {{query?: Record<string, any>, body?: unknown, signal?: AbortSignal, quiet?: boolean}} Options */

/** What asks the service. */
export class Api {
  /**
   * @param {Key} key
   * @param {(message: string | null) => void} sayConnection is told what is wrong with the connection; null: nothing.
   */
  constructor(key, sayConnection) {
    this.key = key;
    this.sayConnection = sayConnection;
    this.lost = new Set();
  }

  /**
   * @param {string} path
   * @param {Options} [options] quiet: never open the dialog for a key.
   * @returns {Promise<any>}
   */
  async get(path, options = {}) {
    return this.#read(await this.#answer("GET", path, options));
  }

  /**
   * @param {string} path
   * @param {Options} [options]
   * @returns {Promise<string>}
   */
  async text(path, options = {}) {
    return (await this.#answer("GET", path, options)).text();
  }

  /**
   * Send a body. A request is repeated if the connection was lost, so it must mean the same when it arrives twice.
   * @param {"POST" | "PUT" | "DELETE"} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>}
   */
  async send(method, path, body) {
    return this.#read(await this.#answer(method, path, { body }));
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Options} options
   * @returns {Promise<Response>}
   */
  async #answer(method, path, options) {
    for (;;) {
      const key = this.key.value;
      const response = await this.#reach(method, path, options, key);
      if (response.ok) return response;
      const problem = await problemOf(response);
      if (response.status !== 401 || options.quiet) throw problem;
      const isNew = key !== this.key.value || (await this.key.ask(problem.detail)) !== null;
      if (!isNew) throw problem;
    }
  }

  /**
   * Fetch, until the service is there and does not ask to wait.
   * @param {string} method
   * @param {string} path
   * @param {Options} options
   * @param {string | null} key
   * @returns {Promise<Response>}
   */
  async #reach(method, path, options, key) {
    /** @type {Record<string, string>} */
    const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const token = {};
    try {
      for (let attempt = 0; ; attempt++) {
        let wait = WAITS[Math.min(attempt, WAITS.length - 1)];
        try {
          const response = await fetch(address(path, options.query), { method, headers, body, signal: options.signal });
          const asked = Number(response.headers.get("Retry-After"));
          if (response.ok || !asked) return response;
          wait = asked;
          this.#sayLost(token, `${(await problemOf(response)).detail}. The page asks again in ${wait} s.`);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          this.#sayLost(token, `The service cannot be reached. The page tries again in ${wait} s.`);
        }
        await pause(wait, options.signal);
      }
    } finally {
      if (this.lost.delete(token) && this.lost.size === 0) this.sayConnection(null);
    }
  }

  /**
   * @param {object} token of the request
   * @param {string} message
   */
  #sayLost(token, message) {
    this.lost.add(token);
    this.sayConnection(message);
  }

  /** @param {Response} response */
  #read(response) {
    return response.status === 204 ? null : response.json();
  }
}

/**
 * A path with a query; a value that is a list is repeated, and null is left out.
 * @param {string} path
 * @param {Record<string, any>} [query]
 */
function address(path, query = {}) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) pairs.append(name, String(value));
  }
  return pairs.size ? `${path}?${pairs}` : path;
}

/** @param {Response} response */
async function problemOf(response) {
  try {
    const found = await response.json();
    return new Problem(response.status, found.title, found.detail);
  } catch {
    return new Problem(response.status, response.statusText || "Error", "The answer of the service says no more.");
  }
}

/**
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** 16 random hexadecimal digits. */
export function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
