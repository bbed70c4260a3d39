// @ts-check
/** Figures of /metrics (the text format of Prometheus), and what happened between two readings of them. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const RECOMMEND = "/v1/recommend";

/**
 * @typedef {{name: string, labels: Record<string, string>, value: number}} Sample
 * @typedef {{time: number, requests: number, events: number, answers: number, fallbacks: number, buckets: Map<number, number>}} Reading
 * @typedef {{rate: number, events: number, fallback: number | null, p50: number | null, p99: number | null}} Rates
 *   a second; percent of the answers; milliseconds
 */

/**
 * @param {string} text
 * @returns {Sample[]}
 */
export function parseMetrics(text) {
  /** @type {Sample[]} */
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    samples.push({ name: found[1], labels, value: found[3] === "+Inf" ? Infinity : Number(found[3]) });
  }
  return samples;
}

/**
 * The counters that the page shows.
 * @param {string} text
 * @param {number} time milliseconds
 * @returns {Reading}
 */
export function readingOf(text, time) {
  const reading = { time, requests: 0, events: 0, answers: 0, fallbacks: 0, buckets: new Map() };
  for (const { name, labels, value } of parseMetrics(text)) {
    if (name === "segue_request_seconds_count" && labels.route.startsWith("/v1/")) reading.requests += value;
    if (name === "segue_events_total" && labels.result === "stored") reading.events += value;
    if (name === "segue_answers_total") {
      reading.answers += value;
      if (labels.fallback === "true") reading.fallbacks += value;
    }
    if (name === "segue_request_seconds_bucket" && labels.route === RECOMMEND) {
      const limit = labels.le === "+Inf" ? Infinity : Number(labels.le);
      reading.buckets.set(limit, (reading.buckets.get(limit) ?? 0) + value);
    }
  }
  return reading;
}

/**
 * What happened between two readings; null if they are not of the same process, or of the same moment.
 * @param {Reading} before
 * @param {Reading} after
 * @returns {Rates | null}
 */
export function ratesBetween(before, after) {
  const seconds = (after.time - before.time) / 1000;
  if (seconds <= 0 || after.requests < before.requests || after.events < before.events) return null;
  const answers = after.answers - before.answers;
  const buckets = [...after.buckets].map(([limit, count]) => [limit, count - (before.buckets.get(limit) ?? 0)]);
  const sorted = /** @type {[number, number][]} */ (buckets.sort(([a], [b]) => a - b));
  return {
    rate: (after.requests - before.requests) / seconds,
    events: (after.events - before.events) / seconds,
    fallback: answers > 0 ? (100 * (after.fallbacks - before.fallbacks)) / answers : null,
    p50: milliseconds(quantile(sorted, 0.5)),
    p99: milliseconds(quantile(sorted, 0.99)),
  };
}

/** @param {number | null} seconds */
function milliseconds(seconds) {
  return seconds === null ? null : 1000 * seconds;
}

/**
 * A quantile of a histogram, between the limits of its bucket in proportion; null without observations.
 * @param {[number, number][]} buckets upper limit and cumulative count, in rising order
 * @param {number} share
 */
export function quantile(buckets, share) {
  const total = buckets.length ? buckets[buckets.length - 1][1] : 0;
  if (total <= 0) return null;
  let [lower, counted] = [0, 0];
  for (const [limit, count] of buckets) {
    if (count >= share * total) {
      return Number.isFinite(limit) ? lower + ((limit - lower) * (share * total - counted)) / (count - counted) : lower;
    }
    [lower, counted] = [limit, count];
  }
  return lower;
}
