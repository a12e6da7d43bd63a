// The page: what is chosen, what is asked, and what is shown of it. Everything shown follows from `state`.
import { ask } from "./ask.js";
import { hasCamera, setUpCamera } from "./camera.js";
import { setUpGauge } from "./gauge.js";
import { METHODS, keep, knows, number, percent, preferred, say } from "./texts.js";

const USUAL_METHOD = "gradcam";
// Classes that are shown at first; a model may have a thousand.
const FEW = 8;
// Longer side of the copy that is sent where the picture itself is too large, in pixels.
const SMALLER = 1600;
// Refusals of a first question that may be about its map alone: it is asked again without one.
const ABOUT_MAPS = [400, 403, 500];
// Refusals of the picture itself: asking again changes nothing.
const FINAL = [413, 415, 422];

const element = (id) => document.getElementById(id);
const text = (name, fields) => say(state.language, name, fields);

const state = {
  language: preferred(),
  models: [],
  model: null,
  // The chosen file, and what is sent of it.
  picture: null,
  sent: null,
  url: null,
  // Whether this browser shows it.
  shown: true,
  // The document with the ranked classes, and the map that lies over the picture.
  answer: null,
  heat: null,
  // What shall be explained; null is what is usual.
  wish: { label: null, method: null, layer: null },
  // { what, left }: words for what is waited for, and seconds until the next try.
  busy: null,
  // { title, status, detail }
  error: null,
  all: false,
};
// Ends the question that is on its way.
let running = null;
// What the bars were built for.
let built = null;

// Choosing a picture.

function take(blob) {
  if (!blob) return;
  drop();
  Object.assign(state, { picture: blob, sent: blob, url: URL.createObjectURL(blob) });
  element("photo").src = state.url;
  look();
}

// Forgets the picture and all about it.
function drop() {
  stop();
  if (state.url) URL.revokeObjectURL(state.url);
  element("photo").removeAttribute("src");
  element("heat").removeAttribute("src");
  Object.assign(state, { picture: null, sent: null, url: null, shown: true, answer: null, heat: null, error: null, all: false });
  state.wish.label = null;
}

function takeFrom(transfer) {
  const file = [...(transfer?.files ?? [])][0];
  if (file) take(file);
  return Boolean(file);
}

// A copy that more servers take; upright, because the canvas is.
async function shrink() {
  const bitmap = await createImageBitmap(state.picture);
  const scale = Math.min(1, SMALLER / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

// Asking.

function question(maps) {
  const { label, method, layer } = state.wish;
  const query = new URLSearchParams({ model: state.model.name, top: "0" });
  if (maps) {
    query.set("gradcam", "1");
    query.set("overlay", "heat");
    if (label !== null) query.set("class", label);
    if (method !== null && method !== USUAL_METHOD) query.set("method", method);
    if (layer !== null && layer !== state.model.default_layer) query.set("layer", layer);
  }
  return `predict?${query}`;
}

function stop() {
  running?.abort();
  running = null;
  state.busy = null;
}

// Runs `work(signal, waiting)` as the one thing that is waited for, and draws what comes of it.
async function wait(what, work) {
  stop();
  const mine = new AbortController();
  running = mine;
  state.error = null;
  state.busy = { what, left: 0, kind: null };
  draw();
  news(what());
  const waiting = (left, status) => {
    if (running !== mine) return;
    const kind = status === 503 ? "starting" : "full";
    if (left > 0 && state.busy.left === 0) news(text(kind));
    state.busy = { what, left, kind };
    draw();
  };
  try {
    await work(mine.signal, waiting);
  } catch (error) {
    if (running !== mine) return;
    state.error = { status: error.status, detail: error.detail ?? String(error) };
  }
  if (running !== mine) return;
  running = null;
  state.busy = null;
  draw();
}

async function load(signal, waiting) {
  const options = { headers: { Accept: "application/json" } };
  const { models } = await ask("models", options, signal, waiting);
  state.models = models;
  state.model = models[0] ?? null;
  const names = models.map((model) => new Option(model.name, model.name));
  element("model").replaceChildren(...names);
}

function predict(maps, signal, waiting) {
  // The bytes say what they are; a name or type is not needed.
  const headers = { "Accept": "application/json", "Content-Type": "application/octet-stream" };
  const options = { method: "POST", headers, body: state.sent };
  return ask(question(maps), options, signal, waiting);
}

// Asks for the picture's classes, or, where they are known, for another map.
function look() {
  const isFirst = state.answer === null;
  const what = () => (isFirst ? text("asking") : text("explaining", { class: className(explained()) }));
  return wait(what, async (signal, waiting) => {
    if (state.model === null) await load(signal, waiting);
    if (state.model === null) return;
    let found = null;
    let trouble = null;
    try {
      found = await predict(state.model.gradcam, signal, waiting);
    } catch (error) {
      const isAboutMaps = isFirst && state.model.gradcam && ABOUT_MAPS.includes(error.status);
      if (!isAboutMaps || signal.aborted) {
        show(null);
        throw error;
      }
      trouble = error;
      found = await predict(false, signal, waiting);
    }
    if (signal.aborted) return;
    if (isFirst) state.answer = found;
    show(found.results[0].explanations?.[0] ?? null);
    const [best] = state.answer.results[0].predictions;
    const share = percent(state.language, best.probability);
    const count = state.answer.results[0].predictions.length;
    const answered = text("answered", { class: className(best.label), share, count });
    const { heat } = state;
    const mapped = heat ? text(heat.flat ? "flat" : "mapped", { class: className(heat.class.label), why: heat.flat }) : "";
    news([isFirst ? answered : "", mapped].filter(Boolean).join(" "));
    if (trouble) throw trouble;
  });
}

function show(heat) {
  state.heat = heat;
  const picture = element("heat");
  if (heat?.png) picture.src = `data:image/png;base64,${heat.png}`;
  else picture.removeAttribute("src");
}

// Asks for a map of something else.
function explain(change) {
  Object.assign(state.wish, change);
  if (state.answer) look();
}

// The class that is explained, or shall be.
function explained() {
  return state.wish.label ?? state.heat?.class.label ?? state.answer?.results[0].predictions[0].label;
}

// Showing.

function className(label) {
  const names = state.model?.labels.find((one) => one.id === label);
  return names?.[state.language] || names?.en || label;
}

function methodName(method) {
  return METHODS[method] ?? method;
}

function news(words) {
  element("news").textContent = words;
}

// Words that never change but with the language.
function translate() {
  document.documentElement.lang = state.language;
  document.title = text("title");
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = text(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", text(one.dataset.label));
  for (const one of document.querySelectorAll("[data-language]")) {
    one.setAttribute("aria-pressed", String(one.dataset.language === state.language));
  }
  if (isPhone()) element("camera").textContent = text("snap");
}

function draw() {
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
    if (state.model.gradcam) {
      bar.type = "button";
      bar.addEventListener("click", () => explain({ label }));
    }
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

function drawExplain() {
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
  const about = heat && { class: className(heat.class.label), method: methodName(heat.method), layer: heat.layer, why: heat.flat };
  element("explained").textContent = about ? text("explained", about) : "";
  element("flat").hidden = !heat?.flat;
  element("flat").textContent = heat?.flat ? text("flat", about) : "";
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

// A device that is held in a hand: its own camera program takes better pictures than a page.
const isPhone = () => matchMedia("(pointer: coarse)").matches;

function listen() {
  const on = (id, event, does) => element(id).addEventListener(event, does);
  const browse = () => element("file").click();
  on("drop", "click", browse);
  on("choose", "click", browse);
  for (const id of ["file", "snap"]) {
    on(id, "change", ({ target }) => {
      take(target.files[0]);
      target.value = "";
    });
  }
  on("remove", "click", () => {
    drop();
    draw();
    news(text("removed"));
  });
  on("cancel", "click", () => {
    stop();
    // The choice goes back to what is shown.
    if (state.heat) state.wish = { label: state.heat.class.label, method: state.heat.method, layer: state.heat.layer };
    else state.error = { title: "cancelled" };
    draw();
    news(text("cancelled"));
  });
  on("again", "click", () => (state.picture ? look() : wait(() => text("loading"), load)));
  on("smaller", "click", async () => {
    try {
      state.sent = (await shrink()) ?? state.picture;
    } catch {
      state.shown = false;
      return draw();
    }
    return look();
  });
  on("more", "click", () => {
    state.all = !state.all;
    draw();
  });
  on("photo", "load", ({ target }) => {
    element("frame").style.setProperty("--ratio", target.naturalWidth / target.naturalHeight);
  });
  on("photo", "error", () => {
    state.shown = false;
    draw();
  });
  on("opacity", "input", drawExplain);
  on("method", "change", ({ target }) => explain({ method: target.value }));
  on("layer", "change", ({ target }) => explain({ layer: target.value }));
  on("model", "change", ({ target }) => {
    state.model = state.models.find((model) => model.name === target.value);
    Object.assign(state, { answer: null, all: false, wish: { label: null, method: null, layer: null } });
    show(null);
    if (state.picture) look();
    else draw();
  });
  for (const one of document.querySelectorAll("[data-language]")) {
    one.addEventListener("click", () => {
      state.language = one.dataset.language;
      keep(state.language);
      translate();
      draw();
      drawGauge();
    });
  }
  listenToGifts();
}

// Pictures that are dropped on the page or pasted into it.
function listenToGifts() {
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = (is) => document.body.classList.toggle("dragging", is);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(carries(event));
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) mark(false);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (takeFrom(event.dataTransfer)) return;
    state.error = { title: "not_image" };
    draw();
  });
  document.addEventListener("paste", (event) => {
    if (takeFrom(event.clipboardData)) event.preventDefault();
  });
}

translate();
listen();
const drawGauge = setUpGauge(() => state.language);
const openCamera = setUpCamera(text, take);
if (isPhone() || hasCamera()) {
  element("camera").hidden = false;
  element("camera").addEventListener("click", () => (isPhone() ? element("snap").click() : openCamera()));
}
// The list is asked for at once; whoever chooses a picture meanwhile has it asked for again.
wait(() => text("loading"), load);
