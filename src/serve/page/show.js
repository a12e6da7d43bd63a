// Showing what is known.
import { USUAL_METHOD, className, element, explained, isPhone, methodName, state, text } from "./state.js";
import { knows, number, percent } from "./texts.js";

// Classes that are shown at first; a model may have a thousand.
const FEW = 8;
// Refusals of the picture itself: asking again changes nothing.
const FINAL = [413, 415, 422];
// What the bars were built for.
let built = null;

export function news(words) {
  element("news").textContent = words;
}

// Words that never change but with the language.
export function translate() {
  document.documentElement.lang = state.language;
  document.title = text("title");
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = text(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", text(one.dataset.label));
  for (const one of document.querySelectorAll("[data-language]")) {
    one.setAttribute("aria-pressed", String(one.dataset.language === state.language));
  }
  if (isPhone()) element("camera").textContent = text("snap");
}

export function draw() {
  const focused = document.activeElement;
  drawPicture();
  drawWaiting();
  drawAnswer();
  drawExplain();
  // What had the focus may be gone.
  if (focused && focused !== document.body && focused.closest("[hidden]")) {
    element(state.picture ? "choose" : "drop").focus({ preventScroll: true });
  }
}

function drawPicture() {
  const { picture, shown, heat, answer } = state;
  const has = picture !== null;
  element("model-field").hidden = state.models.length < 2;
  if (state.model) element("model").value = state.model.name;
  element("drop").hidden = has;
  element("viewer").hidden = !has;
  element("choose").hidden = !has;
  element("remove").hidden = !has;
  element("photo").hidden = !shown;
  element("photo").alt = text("photo_alt");
  element("unshown").hidden = shown || Boolean(heat?.png);
  const over = element("heat");
  over.hidden = !heat?.png;
  over.alt = heat ? text("heat_alt", { class: className(heat.class.label), method: methodName(heat.method) }) : "";
  element("scale").hidden = over.hidden;
  const why = heat?.flat && text("flat", { class: className(heat.class.label), why: heat.flat });
  const remark = why || (!shown && heat?.png ? text("unshown") : "");
  element("remark").hidden = !remark;
  element("remark").textContent = remark;
  element("slider").hidden = over.hidden;
  const size = answer?.results[0].image;
  if (!shown && size) element("frame").style.setProperty("--ratio", size.width / size.height);
  element("frame").classList.toggle("working", state.busy !== null);
}

function drawWaiting() {
  const { busy, error, picture } = state;
  element("busy").hidden = busy === null;
  if (busy) {
    element("busy-text").textContent = busy.left > 0 ? text(busy.kind) : busy.what();
    element("busy-left").textContent = busy.left > 0 ? text("left", { seconds: busy.left }) : "";
  }
  element("error").hidden = error === null;
  if (!error) return;
  const known = `error_${error.status}`;
  element("error-title").textContent = error.title
    ? text(error.title)
    : text(knows(known) ? known : "error_other", { status: error.status });
  element("error-detail").textContent = error.status > 0 ? error.detail : "";
  element("again").hidden = FINAL.includes(error.status);
  element("smaller").hidden = !(error.status === 413 && picture && state.shown && state.sent === picture);
}

function drawAnswer() {
  const { answer, busy, error, language } = state;
  element("nothing").hidden = Boolean(answer || busy || error);
  element("answer").hidden = answer === null;
  if (!answer) {
    built = null;
    return;
  }
  const { predictions, low_confidence } = answer.results[0];
  const [best] = predictions;
  element("best-name").textContent = className(best.label);
  element("best-share").textContent = percent(language, best.probability);
  element("unsure").hidden = !low_confidence;
  const threshold = answer.threshold === null ? "" : new Intl.NumberFormat(language, { style: "percent" }).format(answer.threshold);
  element("unsure").textContent = text("unsure", { threshold });
  element("bars-hint").textContent = text(state.model.gradcam ? "bars_hint" : "no_maps");
  element("more").hidden = predictions.length <= FEW;
  element("more").textContent = text(state.all ? "fewer" : "more", { count: number(language, predictions.length) });
  element("more").setAttribute("aria-expanded", String(state.all));
  const key = [answer, language, state.all];
  if (built === null || key.some((part, at) => part !== built[at])) {
    drawBars(state.all ? predictions : predictions.slice(0, FEW));
    drawFacts();
    built = key;
  }
  const chosen = explained();
  for (const one of element("bars").querySelectorAll("button")) {
    one.setAttribute("aria-pressed", String(one.dataset.class === chosen));
  }
}

function drawBars(predictions) {
  const focused = document.activeElement?.dataset?.class;
  const rows = predictions.map(({ label, probability }) => {
    const row = document.createElement("li");
    const bar = document.createElement(state.model.gradcam ? "button" : "div");
    bar.className = "bar";
    bar.dataset.class = label;
    if (state.model.gradcam) bar.type = "button";
    const name = part("bar-name", className(label));
    const share = part("bar-share", percent(state.language, probability));
    const track = part("bar-track", "");
    track.setAttribute("aria-hidden", "true");
    const fill = part("bar-fill", "");
    fill.style.inlineSize = `${100 * probability}%`;
    track.append(fill);
    bar.append(name, " ", share, track);
    row.append(bar);
    return row;
  });
  element("bars").replaceChildren(...rows);
  if (focused !== undefined) element("bars").querySelector(`[data-class="${CSS.escape(focused)}"]`)?.focus();
}

function part(kind, words) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = words;
  return made;
}

function drawFacts() {
  const { answer, language, model } = state;
  const { image, milliseconds } = answer.results[0];
  const ms = milliseconds.decode + milliseconds.preprocess + milliseconds.infer;
  const time = { ms: number(language, ms), infer: number(language, milliseconds.infer) };
  const facts = [
    ["fact_picture", `${image.width} × ${image.height}`],
    ["fact_time", text("fact_time_value", time)],
    ["fact_model", [model.name, answer.model?.form].filter((part) => part && part !== "raw").join(", ")],
    ["fact_notice", answer.notice || model.notice],
  ];
  if (state.sent !== state.picture) facts.push(["fact_smaller", text("fact_smaller_value")]);
  const rows = facts.filter(([, value]) => value).map(([name, value]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const meaning = document.createElement("dd");
    term.textContent = text(name);
    meaning.textContent = value;
    row.append(term, meaning);
    return row;
  });
  element("facts").replaceChildren(...rows);
}

export function drawExplain() {
  const { answer, heat, model, wish, language } = state;
  const share = Number(element("opacity").value);
  element("frame").style.setProperty("--opacity", share / 100);
  const spoken = new Intl.NumberFormat(language, { style: "percent" }).format(share / 100);
  element("opacity").setAttribute("aria-valuetext", spoken);
  element("opacity-value").textContent = spoken;
  element("explain").hidden = !(answer && model?.gradcam);
  if (!model?.gradcam) return;
  const method = wish.method ?? USUAL_METHOD;
  choices("method", model.methods.map((one) => [one, methodName(one)]), method);
  const named = (one) => (one === model.default_layer ? text("usual", { name: one }) : one);
  choices("layer", model.layers.map((one) => [one, named(one)]), wish.layer ?? model.default_layer);
  element("method-field").hidden = model.methods.length < 2;
  element("layer-field").hidden = model.layers.length < 2;
  element("method-about").textContent = knows(method) ? text(method) : "";
  const about = heat && { class: className(heat.class.label), method: methodName(heat.method), layer: heat.layer };
  element("explained").textContent = about ? text("explained", about) : "";
}

// Fills a list of choices, anew only where they are others: a list that is open stays so.
function choices(id, pairs, chosen) {
  const list = element(id);
  const is = [...list.options].map((option) => `${option.value}\n${option.text}`).join("\n");
  if (is !== pairs.map((pair) => pair.join("\n")).join("\n")) {
    list.replaceChildren(...pairs.map(([value, words]) => new Option(words, value)));
  }
  if (chosen !== null && chosen !== undefined) list.value = chosen;
}
