// The sliders of the photo page, and the preview of what they and the crop frame ask for.

import { reason, toast } from "./toasts.js";

const PREVIEW_MS = 130;
// Sliders that decide what is in the frame.
const FRAMING = ["straighten", "upright_vertical", "upright_horizontal", "lens_distortion"];
export const client = crypto.randomUUID?.() ?? String(Math.random());
const by = (id) => document.getElementById(id);

let asked = 0;
let previewUrl = null;
let previewTimer = null;
let request = null;
// Whether the preview shows the whole frame, because the crop frame is moved on it.
let whole = false;

export function moved(input) {
  return Math.abs(Number(input.value) - Number(input.dataset.start)) > Number(input.dataset.step) / 2;
}

export function tell(input) {
  const step = Number(input.dataset.step);
  const value = Math.round(Number(input.value) / step) * step;
  const places = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const output = input.parentElement.querySelector("output");
  const unit = output.dataset.unit;
  const sign = value > step / 2 ? "+" : value < -step / 2 ? "\u2212" : "";
  output.textContent = `${sign}${Math.abs(value).toFixed(places)}${unit === "EV" ? " EV" : unit}`;
  input.setAttribute("aria-valuetext", output.textContent);
  input.parentElement.classList.toggle("is-moved", moved(input));
}

// Whether a key moves a slider at this moment: it goes step by step, and sticks nowhere.
let byKey = false;

function snap(input) {
  const step = Number(input.dataset.step);
  const start = Number(input.dataset.start);
  let value = Math.round(Number(input.value) / step) * step;
  const range = Number(input.max) - Number(input.min);
  if (Math.abs(value - start) < step / 2) value = start;
  else if (!byKey && Math.abs(value) < range * 0.012) value = 0;
  input.value = value;
}

export function fields() {
  return [...by("adjust").querySelectorAll("input[type=range]")];
}

// Lists to choose from.
function choices() {
  return [...by("adjust").querySelectorAll("select[data-start]")];
}

function chosen(select) {
  return select.value !== select.dataset.start;
}

export function cropFields() {
  return Object.fromEntries(
    ["x", "y", "width", "height"].map((part) => [part, by("adjust").elements[`crop_${part}`]]),
  );
}

// How the picture is laid: mirrored or not, then turned clockwise. Empty values mean: as the recipe has it.
export function layFields() {
  const { quarter_turns: turns, mirror } = by("adjust").elements;
  return { turns, mirror };
}

export function dirty() {
  if (!by("adjust")) return false;
  const isLaid = layFields().turns.value !== "";
  return isLaid || fields().some(moved) || choices().some(chosen) || cropFields().x.value !== "";
}

export function settle() {
  if (!by("adjust")) return;
  const changed = dirty();
  by("discard").disabled = !changed;
  by("keep").disabled = !changed;
}

// The look that is tried and not applied yet; null where the one of the photo stands.
export function tried() {
  const form = by("looks");
  const chosen = form?.querySelector("input[name=preset]:checked");
  if (!chosen) return null;
  const strength = by("look-strength");
  const same = chosen.hasAttribute("data-start") && !(chosen.hasAttribute("data-look") && moved(strength));
  if (same) return null;
  return { name: chosen.value, strength: strength.value, reframes: chosen.hasAttribute("data-reframes") };
}

export function query() {
  const look = tried();
  if (look) return new URLSearchParams({ preset: look.name, strength: look.strength, client });
  const data = new FormData(by("adjust"));
  const values = new URLSearchParams();
  for (const input of fields()) if (moved(input)) values.set(input.name, input.value);
  for (const select of choices()) if (chosen(select)) values.set(select.name, select.value);
  for (const part of ["x", "y", "width", "height"]) {
    if (data.get(`crop_${part}`)) values.set(`crop_${part}`, data.get(`crop_${part}`));
  }
  for (const input of Object.values(layFields())) if (input.value !== "") values.set(input.name, input.value);
  if (whole) values.set("frame", "whole");
  values.set("client", client);
  return values;
}

export function schedulePreview() {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(preview, PREVIEW_MS);
}

export async function preview(again = false) {
  clearTimeout(previewTimer);
  const form = by("adjust");
  if (!form) return;
  if (!dirty() && !whole && !tried()) return showSaved();
  const mine = ++asked;
  request?.abort();
  request = new AbortController();
  const target = new URL(form.dataset.preview, window.location.href);
  for (const [name, value] of query()) target.searchParams.set(name, value);
  const busy = setTimeout(() => (by("busy").hidden = false), 350);
  try {
    const response = await fetch(target, { signal: request.signal, headers: { "HX-Request": "true" } });
    if (mine !== asked) return;
    // The service took an earlier request for a newer one.
    if (response.status === 204 && !again) return void preview(true);
    if (response.status === 204) throw new Error("No preview was made. Move something to ask for it again.");
    if (!response.ok) throw new Error((await response.json()).error);
    const url = URL.createObjectURL(await response.blob());
    const next = await loaded(url);
    if (mine !== asked) return URL.revokeObjectURL(url);
    showPreview(url, next);
    document.dispatchEvent(new Event("previewed"));
  } catch (error) {
    if (error.name === "AbortError" || mine !== asked) return;
    toast(reason(error), { bad: true });
    document.dispatchEvent(new Event("unpreviewed"));
  } finally {
    clearTimeout(busy);
    if (mine === asked) by("busy").hidden = true;
  }
}

function loaded(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("The preview that came is no picture. Reload the page."));
    image.src = url;
  });
}

function showPreview(url, next) {
  const after = by("after");
  after.dataset.saved ??= after.src;
  after.dataset.savedWidth ??= after.getAttribute("width");
  after.dataset.savedHeight ??= after.getAttribute("height");
  // Attributes give the shape; a preview with another shape must not be squeezed into the old one.
  const scale = Math.max(1, Number(after.dataset.savedWidth) / next.naturalWidth);
  after.setAttribute("width", Math.round(next.naturalWidth * scale));
  after.setAttribute("height", Math.round(next.naturalHeight * scale));
  after.src = url;
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  previewUrl = url;
  plain();
}

export function showSaved() {
  const after = by("after");
  asked += 1;
  request?.abort();
  by("busy").hidden = true;
  if (after?.dataset.saved) {
    after.src = after.dataset.saved;
    after.setAttribute("width", after.dataset.savedWidth);
    after.setAttribute("height", after.dataset.savedHeight);
  }
  plain();
}

// While the frame differs from the kept one, "before" would not lie over "after".
export function plain() {
  const form = by("adjust");
  const isMoved = (name) => by(`slider-${name}`) && moved(by(`slider-${name}`));
  const isLaid = form && (cropFields().x.value !== "" || layFields().turns.value !== "");
  by("frame")?.classList.toggle("is-plain", Boolean(whole || isLaid || tried()?.reframes || FRAMING.some(isMoved)));
}

export function showWhole(on) {
  whole = on;
}

// Another photo is shown: what belonged to the one before is let go of.
export function forget() {
  clearTimeout(previewTimer);
  asked += 1;
  request?.abort();
  whole = false;
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  previewUrl = null;
}

function turn(input) {
  snap(input);
  tell(input);
  settle();
  plain();
  schedulePreview();
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.("#adjust input[type=range]")) turn(event.target);
});

// Sliders that take any value would go by hundredths of their range, less than where they stick to their middle.
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

document.addEventListener("keydown", (event) => {
  const input = event.target;
  const steps = KEYS[event.key];
  if (!steps || event.ctrlKey || event.altKey || event.metaKey || !input.matches?.("input[type=range][data-step]")) return;
  event.preventDefault();
  const step = Number(input.dataset.step);
  byKey = true;
  input.value = (Math.round(Number(input.value) / step) + steps) * step;
  for (const name of ["input", "change"]) input.dispatchEvent(new Event(name, { bubbles: true }));
  byKey = false;
});

document.addEventListener("change", (event) => {
  if (!event.target.matches?.("#adjust select")) return;
  settle();
  schedulePreview();
});

// What was folded or unfolded stays so when the page's content is swapped.
const folds = new Map();
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.("#photo details[id]")) folds.set(event.target.id, event.target.open);
  },
  true,
);
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, open] of folds) if (by(id)) by(id).open = open;
});

document.addEventListener("dblclick", (event) => {
  const input = event.target.closest?.("#adjust .slider")?.querySelector("input");
  if (!input) return;
  input.value = input.dataset.start;
  input.dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("reset", (event) => {
  if (event.target.id !== "adjust") return;
  setTimeout(() => {
    for (const input of [...Object.values(cropFields()), ...Object.values(layFields())]) input.value = "";
    fields().forEach(tell);
    settle();
    showSaved();
  });
});
