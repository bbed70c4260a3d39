// @ts-check
/** Numbers and times as people read them. */

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY_LENGTH = 86_400_000; // milliseconds
const WHOLE = new Intl.NumberFormat();

/** @typedef {{mean: number | null, low?: number | null, high?: number | null} | null | undefined} Figure */

/** @param {number} value */
export const whole = (value) => WHOLE.format(value);

/** @param {number} value */
export const decimal = (value) => value.toFixed(Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3);

/** @param {number} value */
export const percent = (value) => `${(100 * value).toFixed(1)}%`;

/** @param {number} value with a sign */
export const signed = (value) => `${value < 0 ? "−" : "+"}${decimal(Math.abs(value))}`;

/** @param {number} value on an axis */
export const plain = (value) => String(Number(value.toPrecision(3)));

/** @param {string} iso */
export const moment = (iso) => DAY.format(new Date(iso));

/**
 * A time on an axis.
 * @param {number} time milliseconds since 1970
 * @param {number} span of the axis
 */
export const tick = (time, span) => (span > 2 * DAY_LENGTH ? DATE : span > DAY_LENGTH / 48 ? HOUR : SECOND).format(time);

/**
 * A mean with its interval.
 * @param {Figure} figure
 */
export function interval(figure) {
  if (!figure || figure.mean === null) return "–";
  const ends = figure.low != null && figure.high != null ? ` (${decimal(figure.low)} to ${decimal(figure.high)})` : "";
  return `${decimal(figure.mean)}${ends}`;
}
