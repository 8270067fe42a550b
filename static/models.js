// The page of models: progress as it comes, and the whole content anew when something begins or ends.

import { renewal } from "./live.js";

const UNITS = ["B", "kB", "MB"];

// A number of bytes in powers of 1000, as the page has it.
function decimal(count) {
  let value = count;
  for (const unit of UNITS) {
    if (value < 1000) return `${Math.round(value)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}

// Shows how far a model has come; false where the page does not have its bar yet.
function show(name, { done, total, file }) {
  const line = document.querySelector(`[data-model="${CSS.escape(name)}"]`);
  const bar = line?.querySelector("progress");
  if (!bar) return false;
  if (total) bar.value = Math.min(1, done / total);
  line.querySelector(".model-done").textContent = total ? `${decimal(done)} of ${decimal(total)}` : decimal(done);
  line.querySelector(".model-file").textContent = file;
  return true;
}

const refresh = renewal("models", 300);

document.addEventListener("sidecar:event", ({ detail: { type, data } }) => {
  if (type !== "models_changed") return;
  const shown = [...document.querySelectorAll("[data-model]:has(progress)")].map((line) => line.dataset.model);
  const all = Object.entries(data.models).map(([name, doing]) => show(name, doing));
  if (all.includes(false) || shown.some((name) => !(name in data.models)) || all.length === 0) refresh();
});

// What somebody unfolded stays so when the content comes anew.
let open = [];
document.addEventListener("htmx:beforeSwap", () => {
  open = [...document.querySelectorAll("#models details[open]")].map((details) => details.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
});
