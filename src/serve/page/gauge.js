// The server's memory, asked for again and again while somebody can see it.
import { ask } from "./ask.js";
import { number, say } from "./texts.js";

const EVERY = 4000;
// After an answer that did not come.
const LATER = 15000;

const element = (id) => document.getElementById(id);

// Starts asking; gives `draw`, for another language, and `look`, for when something has happened.
export function setUpGauge(language) {
  let known = null;
  let timer = null;
  let asking = null;

  function draw() {
    const words = (name, fields) => say(language(), name, fields);
    const gauge = element("gauge");
    const memory = known?.memory;
    const share = Math.min(Math.max(memory?.percent ?? 0, 0), 100);
    const mb = (value) => number(language(), value);
    const now = memory ? words("memory_now", { used: mb(memory.rss_mb), budget: mb(memory.budget_mb) }) : words("memory_unknown");
    gauge.dataset.band = memory?.band ?? "unknown";
    gauge.setAttribute("aria-valuenow", share.toFixed(0));
    gauge.setAttribute("aria-valuetext", memory ? `${now}, ${words(memory.band)}` : now);
    element("gauge-fill").style.inlineSize = `${share}%`;
    const peak = element("gauge-peak");
    peak.hidden = !memory;
    element("gauge-now").textContent = now;
    const band = element("gauge-band");
    band.textContent = memory ? words(memory.band) : "";
    band.dataset.band = gauge.dataset.band;
    const more = element("gauge-more");
    more.textContent = "";
    if (!memory) return;
    peak.style.insetInlineStart = `${Math.min((100 * memory.peak_mb) / memory.budget_mb, 100)}%`;
    const loaded = words(known.model_loaded ? "model_loaded" : "model_unloaded");
    more.textContent = words("memory_more", { peak: mb(memory.peak_mb), loaded });
  }

  async function look() {
    clearTimeout(timer);
    asking?.abort();
    if (document.visibilityState !== "visible") return;
    const mine = new AbortController();
    asking = mine;
    let next = EVERY;
    try {
      known = await ask("memory", { headers: { Accept: "application/json" } }, mine.signal);
    } catch {
      if (mine.signal.aborted) return;
      known = null;
      next = LATER;
    }
    draw();
    if (document.visibilityState === "visible") timer = setTimeout(look, next);
  }

  document.addEventListener("visibilitychange", look);
  look();
  return { draw, look };
}
