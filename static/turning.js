// Turning and mirroring the picture as it is shown. What the form holds of it turns with it, so that sliders and the
// crop frame always speak of what is seen.

import { cropFields, fields, layFields, plain, preview, settle, tell } from "./adjust.js";
import { endCrop, isCropping } from "./cropping.js";
import { turnedRight, mirrored } from "./crop.js";
import { leaveLook } from "./looks.js";

const by = (id) => document.getElementById(id);

// A hidden field's number, and where it stood when the page came.
function now(input) {
  return Number(input.value === "" ? input.dataset.start : input.value);
}

function kept(input) {
  input.dataset.kept ??= input.dataset.start;
}

function lay(turns, mirror) {
  const inputs = layFields();
  const same = turns === Number(inputs.turns.dataset.start) && mirror === Number(inputs.mirror.dataset.start);
  inputs.turns.value = same ? "" : turns;
  inputs.mirror.value = same ? "" : mirror;
}

// Lays numbers of a slider, its start and its ends through a function that keeps or turns round their sign.
function turnSlider(input, from, sign) {
  kept(input);
  const [low, high] = [from.low * sign, from.high * sign];
  input.min = Math.min(low, high);
  input.max = Math.max(low, high);
  input.dataset.start = from.start * sign;
  input.value = from.value * sign;
}

function read(input) {
  const start = Number(input.dataset.start);
  return { value: Number(input.value), start, low: Number(input.min), high: Number(input.max) };
}

function turnSliders(way) {
  const [straighten, vertical, horizontal] = ["straighten", "upright_vertical", "upright_horizontal"].map((name) =>
    by(`slider-${name}`),
  );
  if (way === "mirror") {
    if (straighten) turnSlider(straighten, read(straighten), -1);
    if (horizontal) turnSlider(horizontal, read(horizontal), -1);
  } else if (vertical && horizontal) {
    const [upright, across] = [read(vertical), read(horizontal)];
    turnSlider(vertical, across, way === "right" ? -1 : 1);
    turnSlider(horizontal, upright, way === "right" ? 1 : -1);
  }
}

function turnCrop(way) {
  const inputs = cropFields();
  const change = { mirror: mirrored, right: turnedRight, left: (crop) => turnedRight(turnedRight(turnedRight(crop))) };
  const all = (number) => Object.fromEntries(Object.entries(inputs).map(([part, input]) => [part, number(input)]));
  const start = change[way](all((input) => Number(input.dataset.start)));
  const wanted = inputs.x.value === "" ? null : change[way](all((input) => Number(input.value)));
  for (const [part, input] of Object.entries(inputs)) {
    kept(input);
    input.dataset.start = start[part];
    if (wanted) input.value = wanted[part].toFixed(5);
  }
}

export function turn(way) {
  if (!by("adjust")) return;
  if (isCropping()) endCrop();
  leaveLook();
  const inputs = layFields();
  const [turns, mirror] = [now(inputs.turns), now(inputs.mirror)];
  if (way === "mirror") lay((4 - turns) % 4, 1 - mirror);
  else lay((turns + (way === "right" ? 1 : 3)) % 4, mirror);
  turnSliders(way);
  turnCrop(way);
  fields().forEach(tell);
  settle();
  plain();
  preview();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-turn]");
  if (button) turn(button.dataset.turn);
});

// Discarding lays everything as it came.
document.addEventListener("reset", (event) => {
  if (event.target.id !== "adjust") return;
  for (const input of event.target.querySelectorAll("[data-kept]")) input.dataset.start = input.dataset.kept;
});
