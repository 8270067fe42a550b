// What was found, over the picture: shown and hidden, and things outlined that are pointed at.

import { reason, toast } from "./toasts.js";

const by = (id) => document.getElementById(id);

export function showFinds(on) {
  const finds = by("finds");
  if (!finds) return;
  const picture = by("finds-picture");
  if (on && !picture.src) picture.src = picture.dataset.src;
  finds.hidden = !on;
  by("show-finds").setAttribute("aria-pressed", String(on));
}

export const findsShown = () => by("finds") && !by("finds").hidden;

function placeOf(event) {
  const drawing = by("places");
  const there = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
  const { width, height } = drawing.viewBox.baseVal;
  return { x: there.x / width, y: there.y / height };
}

let asked = 0;

async function outline(event) {
  const where = by("finds").dataset.outline;
  const { x, y } = placeOf(event);
  if (!where || x < 0 || x > 1 || y < 0 || y > 1) return;
  const mine = ++asked;
  const [drawing, words] = [by("places"), by("finds-words")];
  words.textContent = "Outlining…";
  try {
    const response = await fetch(where, {
      method: "POST",
      headers: { "HX-Request": "true" },
      body: new URLSearchParams({ x: x.toFixed(5), y: y.toFixed(5) }),
    });
    const text = await response.text();
    if (mine !== asked || !drawing.isConnected) return;
    if (!response.ok) throw new Error(JSON.parse(text).error);
    const shelf = document.createElement("template");
    shelf.innerHTML = text;
    const made = shelf.content.querySelector(".pointed");
    drawing.querySelector(".pointed")?.remove();
    drawing.append(made);
    words.textContent = `${made.dataset.share} of the picture`;
  } catch (error) {
    if (mine !== asked) return;
    words.textContent = "Click on something to outline it.";
    toast(reason(error), { bad: true });
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#show-finds")) return showFinds(!findsShown());
  if (event.target.closest?.("#places")) return void outline(event);
});
