// Numbers, moments and words as the page shows them.

const whole = new Intl.NumberFormat("en");
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const number = (value) => whole.format(value);
export const compact = (value) => (Math.abs(value) < 10000 ? tenth.format(value) : short.format(value));
export const time = (text) => clock.format(new Date(text));
export const moment = (text) => day.format(new Date(text));

/** Returns a number with its noun. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

const currencies = new Map();

/** Returns an amount in its currency, with that currency's decimals. */
export function money(amount, currency) {
  let format = currencies.get(currency);
  if (!format) {
    try {
      format = new Intl.NumberFormat("en", { style: "currency", currency });
    } catch {
      return `${amount} ${currency}`;
    }
    currencies.set(currency, format);
  }
  return format.format(amount);
}

/** Returns a time to live in milliseconds as minutes and seconds. */
export function remaining(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Returns a word of the API in words: `pending_payment` is "pending payment". */
export const words = (word) => String(word ?? "").replaceAll("_", " ");

// The server's time less this browser's: countdowns go by the server's clock.
let offset = 0;
export const setServerTime = (now) => {
  offset = now - Date.now();
};
export const serverNow = () => Date.now() + offset;
