// The sliders of the photo page, and the preview of what they and the crop frame ask for.

import { toast } from "./toasts.js";

const PREVIEW_MS = 130;
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

function snap(input) {
  const step = Number(input.dataset.step);
  const start = Number(input.dataset.start);
  let value = Math.round(Number(input.value) / step) * step;
  const range = Number(input.max) - Number(input.min);
  if (Math.abs(value) < range * 0.012) value = 0;
  if (Math.abs(value - start) < step / 2) value = start;
  input.value = value;
}

export function fields() {
  return [...by("adjust").querySelectorAll("input[type=range]")];
}

export function cropFields() {
  return Object.fromEntries(
    ["x", "y", "width", "height"].map((part) => [part, by("adjust").elements[`crop_${part}`]]),
  );
}

export function dirty() {
  return Boolean(by("adjust")) && (fields().some(moved) || cropFields().x.value !== "");
}

export function settle() {
  if (!by("adjust")) return;
  const changed = dirty();
  by("discard").disabled = !changed;
  by("keep").disabled = !changed;
}

function query() {
  const data = new FormData(by("adjust"));
  const values = new URLSearchParams();
  for (const input of fields()) if (moved(input)) values.set(input.name, input.value);
  for (const part of ["x", "y", "width", "height"]) {
    if (data.get(`crop_${part}`)) values.set(`crop_${part}`, data.get(`crop_${part}`));
  }
  if (whole) values.set("frame", "whole");
  values.set("client", client);
  return values;
}

function schedulePreview() {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(preview, PREVIEW_MS);
}

export async function preview() {
  const form = by("adjust");
  if (!form) return;
  if (!dirty() && !whole) return showSaved();
  const mine = ++asked;
  request?.abort();
  request = new AbortController();
  const target = new URL(form.dataset.preview, window.location.href);
  for (const [name, value] of query()) target.searchParams.set(name, value);
  const busy = setTimeout(() => (by("busy").hidden = false), 350);
  try {
    const response = await fetch(target, { signal: request.signal, headers: { "HX-Request": "true" } });
    if (mine !== asked || response.status === 204) return;
    if (!response.ok) throw new Error((await response.json()).error);
    showPreview(URL.createObjectURL(await response.blob()));
  } catch (error) {
    if (error.name !== "AbortError" && mine === asked) toast(error.message, { bad: true });
  } finally {
    clearTimeout(busy);
    if (mine === asked) by("busy").hidden = true;
  }
}

function showPreview(url) {
  const after = by("after");
  after.dataset.saved ??= after.src;
  after.dataset.savedWidth ??= after.getAttribute("width");
  after.dataset.savedHeight ??= after.getAttribute("height");
  const next = new Image();
  next.onload = () => {
    // Attributes give the shape; a preview with another shape must not be squeezed into the old one.
    const scale = Math.max(1, Number(after.dataset.savedWidth) / next.naturalWidth);
    after.setAttribute("width", Math.round(next.naturalWidth * scale));
    after.setAttribute("height", Math.round(next.naturalHeight * scale));
    after.src = url;
    if (previewUrl) URL.revokeObjectURL(previewUrl);
    previewUrl = url;
    plain();
  };
  next.src = url;
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
  const straighten = by("slider-straighten");
  const reframed = whole || (by("adjust") && cropFields().x.value !== "") || (straighten && moved(straighten));
  by("frame")?.classList.toggle("is-plain", Boolean(reframed));
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

document.addEventListener("dblclick", (event) => {
  const label = event.target.closest?.(".slider");
  const input = label?.querySelector("input");
  if (!input) return;
  input.value = input.dataset.start;
  turn(input);
});

document.addEventListener("reset", (event) => {
  if (event.target.id !== "adjust") return;
  setTimeout(() => {
    for (const input of Object.values(cropFields())) input.value = "";
    fields().forEach(tell);
    settle();
    showSaved();
  });
});
