// The crop frame on the photo page, in fractions of the straightened picture.

import { cropFields, plain, preview, query, settle, showWhole } from "./adjust.js";
import { resized, shaped, shifted } from "./crop.js";
import { leaveLook } from "./looks.js";

const by = (id) => document.getElementById(id);

let cropping = false;
let crop = null;
// The shape as its button names it; no name: any.
let wanted = "";

export const isCropping = () => cropping;

export function startCrop() {
  if (!by("adjust")) return;
  leaveLook();
  cropping = true;
  showWhole(true);
  const inputs = cropFields();
  crop = Object.fromEntries(
    Object.entries(inputs).map(([part, input]) => [part, Number(input.value || input.dataset.start)]),
  );
  by("crop").setAttribute("aria-pressed", "true");
  by("aspects").hidden = false;
  by("crop").hidden = true;
  for (const id of ["hold", "turns"]) if (by(id)) by(id).hidden = true;
  plain();
  loadFrames();
  preview();
}

// The frame lies over the whole picture, so it comes with the first preview that shows it. A shape may be wanted before.
document.addEventListener("previewed", () => {
  if (!cropping || !by("cropper").hidden) return;
  by("cropper").hidden = false;
  shape(wanted);
  place();
  by("crop-box").focus({ preventScroll: true });
});

// Whether the frame stands at other numbers than those that are read of the fields.
function differs(number) {
  return Object.entries(cropFields()).some(([part, input]) => Math.abs(crop[part] - Number(number(input))) > 1e-4);
}

// Whether the frame was moved, and nobody has said yet that it stays.
export const frameMoved = () => cropping && differs((input) => input.value || input.dataset.start);

export function endCrop() {
  if (!cropping) return;
  const isNew = differs((input) => input.dataset.start);
  for (const [part, input] of Object.entries(cropFields())) input.value = isNew ? crop[part].toFixed(5) : "";
  settle();
  putAway();
  preview();
}

// Takes the tool away, and leaves the fields as they are.
function putAway() {
  const focused = document.activeElement;
  const wasInTool = focused === document.body || by("cropper").contains(focused) || by("aspects").contains(focused);
  cropping = false;
  showWhole(false);
  by("cropper").hidden = true;
  by("aspects").hidden = true;
  by("crop").hidden = false;
  for (const id of ["hold", "turns"]) if (by(id)) by(id).hidden = false;
  by("crop").setAttribute("aria-pressed", "false");
  if (wasInTool) by("crop").focus({ preventScroll: true });
}

// Without a picture of the whole there is nothing to lay the frame over.
document.addEventListener("unpreviewed", () => {
  if (!cropping || !by("cropper").hidden) return;
  putAway();
  plain();
});

// Discarding takes the frame with it.
document.addEventListener("reset", (event) => {
  if (event.target.id === "adjust" && cropping) putAway();
});

// What is sent, and a look that is tried, come with the frame as it stands. Before htmx reads the form.
for (const [name, place] of [["submit", "#photo form:not([hx-swap=none])"], ["input", "#looks input"]]) {
  document.addEventListener(name, (event) => cropping && event.target.matches?.(place) && endCrop(), true);
}

// The frames that suit what is in the picture, as it is turned and levelled now.
async function loadFrames() {
  const there = by("frames");
  const target = new URL(there.dataset.from, window.location.href);
  for (const [name, value] of query()) target.searchParams.set(name, value);
  try {
    const response = await fetch(target, { headers: { "HX-Request": "true" } });
    if (response.ok && there.isConnected) there.innerHTML = await response.text();
  } catch {
    // Frames are drawn by hand then.
  }
}

function place() {
  const box = by("crop-box");
  box.style.left = `${100 * crop.x}%`;
  box.style.top = `${100 * crop.y}%`;
  box.style.width = `${100 * crop.width}%`;
  box.style.height = `${100 * crop.height}%`;
}

// Width to height of the wanted shape; 0: any.
function aspect() {
  const image = by("after");
  return wanted === "original" ? image.naturalWidth / image.naturalHeight : Number(wanted);
}

// The same in fractions of the picture; 0: any.
function ratio() {
  const box = by("cropper").getBoundingClientRect();
  return aspect() / (box.width / box.height);
}

function shape(value) {
  wanted = value;
  for (const button of by("aspects").querySelectorAll("[data-aspect]")) {
    button.setAttribute("aria-pressed", String(button.dataset.aspect === value));
  }
  if (!aspect() || by("cropper").hidden) return;
  crop = shaped(crop, ratio());
  place();
}

document.addEventListener("pointerdown", (event) => {
  const box = event.target.closest?.("#crop-box");
  if (!box || event.button > 0) return;
  event.preventDefault();
  box.focus({ preventScroll: true });
  const area = by("cropper").getBoundingClientRect();
  const grip = event.target.dataset.grip ?? "";
  const start = { ...crop };
  const from = [event.clientX, event.clientY];
  box.setPointerCapture(event.pointerId);
  const follow = (now) => {
    const dx = (now.clientX - from[0]) / area.width;
    const dy = (now.clientY - from[1]) / area.height;
    crop = grip ? resized(start, grip, dx, dy, ratio()) : shifted(start, dx, dy);
    place();
  };
  const end = () => {
    box.removeEventListener("pointermove", follow);
    box.removeEventListener("pointerup", end);
    box.removeEventListener("pointercancel", end);
  };
  box.addEventListener("pointermove", follow);
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);
});

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("button");
  if (!target) return;
  if (target.id === "crop") startCrop();
  else if (target.id === "crop-done") endCrop();
  else if (target.id === "uncrop") {
    crop = { x: 0, y: 0, width: 1, height: 1 };
    shape("");
    place();
  } else if (target.dataset.frame !== undefined) {
    const [x, y, width, height] = target.dataset.frame.split(" ").map(Number);
    shape("");
    crop = { x, y, width, height };
    place();
  } else if (target.dataset.aspect !== undefined) shape(target.dataset.aspect);
});

document.addEventListener("change", (event) => {
  if (cropping && event.target.matches?.("#adjust input[type=range]")) loadFrames();
});

// Moves the frame, or with Shift sizes it, by a step of an arrow key.
export function nudge(key, sizes) {
  const dx = { ArrowLeft: -0.01, ArrowRight: 0.01 }[key] ?? 0;
  const dy = { ArrowUp: -0.01, ArrowDown: 0.01 }[key] ?? 0;
  crop = sizes ? resized(crop, dx ? "e" : "s", dx, dy, ratio()) : shifted(crop, dx, dy);
  place();
}

// Another photo is shown.
export function leaveCrop() {
  cropping = false;
  wanted = "";
}
