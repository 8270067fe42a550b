// The looks of the photo page: trying one on the picture, and how strong it is.

import { plain, schedulePreview, tried } from "./adjust.js";

const by = (id) => document.getElementById(id);
// The form whose chosen look was brought into sight.
let seen = null;

// Shows what stands in the form: the strength where the look has one, and what can be done with it.
export function showLook() {
  const form = by("looks");
  if (!form) return;
  const chosen = form.querySelector("input[name=preset]:checked");
  if (form !== seen && chosen) {
    seen = form;
    const [row, label] = [form.querySelector(".look-row"), chosen.closest(".look")];
    row.scrollLeft = label.offsetLeft - (row.clientWidth - label.offsetWidth) / 2;
  }
  const hasLook = Boolean(chosen?.hasAttribute("data-look"));
  by("look-strength-row").hidden = !hasLook;
  const isTried = tried() !== null;
  for (const id of ["look-apply", "look-discard"]) by(id).hidden = !isTried;
  const strength = by("look-strength");
  by("look-percent").textContent = `${Math.round(Number(strength.value))} %`;
  strength.setAttribute("aria-valuetext", by("look-percent").textContent);
}

// Back to the look of the photo, without asking for a picture.
export function leaveLook() {
  if (!tried()) return;
  by("looks").reset();
  showLook();
}

function attempt() {
  showLook();
  plain();
  schedulePreview();
}

// Another look begins at its own strength; back at the photo's, at the one that it has there.
function ownStrength() {
  const strength = by("look-strength");
  const chosen = by("looks").querySelector("input[name=preset]:checked");
  strength.value = chosen?.hasAttribute("data-start") ? strength.dataset.start : 100;
}

document.addEventListener("change", (event) => {
  if (!event.target.matches?.("#looks input[name=preset]")) return;
  ownStrength();
  attempt();
});

document.addEventListener("dblclick", (event) => {
  if (!event.target.closest?.("#look-strength-row")) return;
  ownStrength();
  by("look-strength").dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("input", (event) => {
  if (event.target.id === "look-strength") {
    const step = Number(event.target.dataset.step);
    event.target.value = Math.round(Number(event.target.value) / step) * step;
    attempt();
  } else if (event.target.matches?.("#adjust input, #adjust select")) leaveLook();
});

document.addEventListener("reset", (event) => {
  if (event.target.id === "looks") setTimeout(attempt);
});
