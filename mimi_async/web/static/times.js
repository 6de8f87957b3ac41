/**
 * Times in the zone of the browser. Without this module the page shows them in UTC, and says so.
 *
 * The language is that of the page, with the region that the browser prefers for it.
 */

const { lang } = document.documentElement;
const locale = navigator.languages.find((wanted) => wanted.split("-")[0].toLowerCase() === lang) ?? lang;
const format = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });

for (const time of document.querySelectorAll("time[data-utc]")) {
  time.textContent = format.format(new Date(time.dateTime));
}
