// What the page knows. Everything shown follows from it.
import { METHODS, preferred, say } from "./texts.js";

export const USUAL_METHOD = "gradcam";

export const state = {
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

export const element = (id) => document.getElementById(id);
export const text = (name, fields) => say(state.language, name, fields);

export function className(label) {
  const names = state.model?.labels.find((one) => one.id === label);
  return names?.[state.language] || names?.en || label;
}

export function methodName(method) {
  return METHODS[method] ?? method;
}

// The class that is explained, or shall be.
export function explained() {
  return state.wish.label ?? state.heat?.class.label ?? state.answer?.results[0].predictions[0].label;
}

// A device that is held in a hand: its own camera program takes better pictures than a page.
export const isPhone = () => matchMedia("(pointer: coarse)").matches;
