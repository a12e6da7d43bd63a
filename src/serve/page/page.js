// The page: what is chosen, and what is asked of the server.
import { ask } from "./ask.js";
import { hasCamera, setUpCamera } from "./camera.js";
import { setUpGauge } from "./gauge.js";
import { draw, drawExplain, news, translate } from "./show.js";
import { USUAL_METHOD, className, element, explained, isPhone, state, text } from "./state.js";
import { keep, percent } from "./texts.js";

// Longer side of the copy that is sent where the picture itself is too large, in pixels.
const SMALLER = 1600;
// Refusals of a first question that may be about its map alone: it is asked again without one. A map of another layer or by another method may
// be more than the server can make.
const ABOUT_MAPS = [400, 403, 500];
const ABOUT_SPECIAL_MAPS = [...ABOUT_MAPS, 413, 422];

// Ends the question that is on its way.
let running = null;

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

function isSpecial() {
  const { method, layer } = state.wish;
  return (method !== null && method !== USUAL_METHOD) || (layer !== null && layer !== state.model.default_layer);
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
    state.error = { status: error.status, detail: error.detail ?? String(error), title: error.title };
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
      const special = isSpecial();
      const isAboutMaps = state.model.gradcam && (special ? ABOUT_SPECIAL_MAPS : ABOUT_MAPS).includes(error.status);
      if (isAboutMaps && special && !signal.aborted) {
        // The next picture is not refused for it.
        Object.assign(state.wish, { method: null, layer: null });
        error.title = "map_refused";
      }
      if (!isAboutMaps || !isFirst || signal.aborted) {
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
    gauge.look();
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
  on("bars", "click", ({ target }) => {
    const bar = target.closest("button");
    if (bar) explain({ label: bar.dataset.class });
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
      gauge.draw();
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
const gauge = setUpGauge(() => state.language);
const openCamera = setUpCamera(text, take);
if (isPhone() || hasCamera()) {
  element("camera").hidden = false;
  element("camera").addEventListener("click", () => (isPhone() ? element("snap").click() : openCamera()));
}
// The list is asked for at once; whoever chooses a picture meanwhile has it asked for again.
wait(() => text("loading"), load);
