// The photo page: comparing, keys, what commands answer, and what changes elsewhere.

import { client, dirty, fields, forget, settle, tell, tried } from "./adjust.js";
import { endCrop, frameMoved, isCropping, leaveCrop, nudge, startCrop } from "./cropping.js";
import { bytes } from "./live.js";
import { findsShown, showFinds } from "./found.js";
import { showLook } from "./looks.js";
import { address, ask, reason, toast } from "./toasts.js";
import { turn } from "./turning.js";

const READY_MS = 400;
const by = (id) => document.getElementById(id);
const photo = () => by("photo");

// Before and after

function split(value) {
  by("frame").style.setProperty("--split", `${value}%`);
}

function hold(on) {
  const whole = by("whole");
  if (!whole) return;
  if (on && !whole.src) whole.src = whole.dataset.src;
  whole.hidden = !on;
  by("hold").setAttribute("aria-pressed", String(on));
}

// One set of listeners for whatever the page shows now

document.addEventListener("input", (event) => {
  if (event.target.id === "split") split(event.target.value);
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#show-help")) by("help").showModal();
});

document.addEventListener("pointerdown", (event) => {
  if (event.target.closest?.("#hold")) hold(true);
});
for (const name of ["pointerup", "pointercancel", "blur"]) {
  window.addEventListener(name, () => by("whole") && !by("whole").hidden && hold(false));
}
document.addEventListener("contextmenu", (event) => {
  if (event.target.closest?.("#hold, #frame") && matchMedia("(hover: none)").matches) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (isCropping() && document.activeElement === by("crop-box") && key.startsWith("Arrow")) {
    event.preventDefault();
    return nudge(key, event.shiftKey);
  }
  if (key === "Escape" || (key === "Enter" && document.activeElement === by("crop-box"))) {
    if (event.repeat) return;
    // What gets the focus now is not pressed by this very key.
    if (key === "Enter") event.preventDefault();
    if (event.target.matches("textarea, input[type=text]")) return event.target.blur();
    if (isCropping()) return endCrop();
    if (findsShown()) return showFinds(false);
    if (key === "Escape") return by("leave").click();
  }
  if (event.target.matches("input, textarea, select")) {
    if (key.startsWith("Arrow") || !["range", "radio", "checkbox"].includes(event.target.type)) return;
  }
  if (key === "b") return hold(true);
  if (event.repeat) return;
  if (key === "c") return isCropping() ? endCrop() : startCrop();
  if (key === "f") return showFinds(!findsShown());
  if (key === "?") return by("help").showModal();
  const way = { "[": "left", "]": "right", m: "mirror" }[key];
  if (way) return turn(way);
  if (isCropping()) return;
  if (key === "ArrowLeft") return by("previous")?.click();
  if (key === "ArrowRight") return by("next")?.click();
  document.querySelector(`[data-key="${CSS.escape(key.toUpperCase())}"]`)?.click();
});
document.addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "b") hold(false);
});

// After a command: say so, and offer the way back

// Answers that are awaited and will take the place of the photo.
let replacing = 0;

const goOn = () => window.confirm("What you changed here is not kept yet. Go on without it?");

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.target;
  if (!form.matches?.("#photo form:not([hx-swap=none])")) return;
  // Pressed twice: the photo is leaving already.
  if (replacing && form.matches(".command")) return event.preventDefault();
  const loses = (form.id !== "adjust" && dirty()) || (form.id !== "looks" && tried());
  if (loses && !goOn()) event.preventDefault();
});

document.addEventListener("htmx:beforeSend", ({ detail: { xhr, target } }) => {
  const replaces = target.matches("#photo, #main");
  if (replaces) replacing += 1;
  // By the request, not by htmx: the form may have been replaced when the answer comes.
  xhr.addEventListener("loadend", () => {
    if (replaces) replacing -= 1;
    answered(xhr);
  });
});

function answered(xhr) {
  if (xhr.status < 200 || xhr.status >= 400) {
    if (xhr.status === 409) refresh();
    return;
  }
  const done = xhr.getResponseHeader("X-Done");
  if (!done) return;
  const [id, version, way] = (xhr.getResponseHeader("X-Undo") ?? "").split(":");
  if (!way) return void toast(done);
  toast(done, { action: "Undo", act: () => undo(id, Number(version)) });
}

async function undo(id, version) {
  const goesBack = () => photo()?.dataset.id !== id;
  if (goesBack() && (dirty() || tried() || frameMoved()) && !goOn()) return;
  try {
    await ask("POST", `/api/photos/${id}/undo`, { version });
  } catch (error) {
    return void toast(reason(error), { bad: true });
  }
  toast("Undone");
  if (!goesBack()) return refresh();
  htmx.ajax("GET", address(`/photos/${id}`), { target: "#main", select: "#main", swap: "outerHTML", push: "true" });
}

// Changes that come from elsewhere

let refreshing = null;
// The photo that is to be asked about: by then another one may be shown.
let stale = null;
let refreshed = 0;
// Takes away what was said about the photo last.
let untold = () => {};

// What htmx shows is newer than an answer that is still on its way.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.matches?.("#photo, #main")) refreshed += 1;
});

function refresh() {
  stale = photo()?.dataset.id;
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    const wanted = stale;
    if (!wanted || photo()?.dataset.id !== wanted) return;
    const mine = ++refreshed;
    const shelf = document.createElement("template");
    try {
      const response = await fetch(address(`/photos/${wanted}/panel`), { headers: { "HX-Request": "true" } });
      if (!response.ok) return;
      shelf.innerHTML = await response.text();
    } catch {
      return; // the service is away; what happened meanwhile is told again when it is back
    }
    const [now, made] = [photo(), shelf.content.querySelector("#photo")];
    // A newer answer is on its way, or another photo is shown by now.
    if (mine !== refreshed || now?.dataset.id !== wanted) return;
    const samePicture = ["version", "shown"].every((name) => made.dataset[name] === now.dataset[name]);
    const unkept = dirty() || tried() || isCropping();
    if (!samePicture && unkept) {
      untold();
      untold = toast("This photo has changed; what you changed here is not kept yet.", {
        bad: true,
        action: "Show the change",
        act: () => swap(now, made),
      });
      return;
    }
    if (samePicture) {
      if (unkept) {
        for (const name of [".versions", ".notice", ".decide"]) {
          const [old, fresh] = [now.querySelector(name), made.querySelector(name)];
          if (old && fresh) swap(old, fresh);
        }
        return;
      }
      const [place, words] = [by("side").scrollTop, made.querySelector(".stage-bar .chip")];
      swap(by("side"), made.querySelector("#side"));
      by("side").scrollTop = place;
      now.querySelector(".stage-bar .chip").replaceWith(words);
      Object.assign(now.dataset, made.dataset);
      prepare();
    } else {
      swap(now, made);
    }
  }, 250);
}

function swap(old, made) {
  const again = asLeft(old, made);
  old.replaceWith(made);
  htmx.process(made);
  again();
  prepare();
}

// What somebody has unfolded stays so, what they have written or ticked in forms beside the sliders, and where they are
// with the keyboard; sliders that were moved keep the page from being replaced at all.
function asLeft(old, made) {
  for (const fold of old.querySelectorAll("details[id]")) {
    const other = made.querySelector(`#${fold.id}`);
    if (other) other.open = fold.open;
  }
  for (const input of old.querySelectorAll(".keep-preset form input[id], #tell-fold input[id]")) {
    const other = made.querySelector(`#${input.id}`);
    if (!other) continue;
    if (input.type === "checkbox") other.checked = input.checked;
    else other.value = input.value;
  }
  return old.contains(document.activeElement) ? focusAgain() : () => {};
}

// Focuses once more what has the focus now, known by its id, its fold, or where it leads.
function focusAgain() {
  const active = document.activeElement;
  const leads = active.getAttribute("href");
  let same = active.id && `#${CSS.escape(active.id)}`;
  if (!same && active.matches("details[id] > summary")) same = `#${active.parentElement.id} > summary`;
  if (!same && leads) same = `#photo [href="${CSS.escape(leads)}"]`;
  return () => same && document.querySelector(same)?.focus({ preventScroll: true });
}

// How much of a version Immich has; the bar itself comes with the next answer of the service.
function showUpload(now, { n, sent, total }) {
  const words = now.querySelector(`.publish[data-version="${n}"]`);
  if (!words) return;
  words.textContent = `Being sent to Immich: ${bytes(sent)} of ${bytes(total)}.`;
  const bar = now.querySelector(`.sending[data-version="${n}"]`);
  if (bar) [bar.max, bar.value] = [total || 1, sent];
}

document.addEventListener("sidecar:event", ({ detail: { type, data } }) => {
  const now = photo();
  if (!now || data.file_id !== now.dataset.id) return;
  if (type === "progress" && data.upload) {
    showUpload(now, data.upload);
    return;
  }
  if (type === "progress") {
    const bar = now.querySelector("#working progress");
    if (bar) bar.value = data.progress;
    return;
  }
  const known =
    type === "review_changed" && String(data.version) === now.dataset.version && data.review === now.dataset.review;
  if (!known) refresh();
});

// What the sliders work on is decoded while the person still looks, unless they flip through the photos.
let readyTimer = null;

function makeReady() {
  clearTimeout(readyTimer);
  if (!by("adjust")) return;
  const path = `/photos/${photo().dataset.id}/made-ready`;
  readyTimer = setTimeout(() => {
    fetch(address(path, { client }), { priority: "low", headers: { "HX-Request": "true" } }).catch(() => {});
  }, READY_MS);
}

// A picture that cannot be shown says why.
async function explain(image) {
  if (!image.matches?.("#frame > img[src]") || !image.src.startsWith(window.location.origin)) return;
  let words = "The picture cannot be loaded: the service does not answer.";
  try {
    const response = await fetch(image.src, { headers: { "HX-Request": "true" } });
    if (response.ok) return;
    words = (await response.json()).error ?? words;
  } catch {
    // said already
  }
  const place = by("no-picture");
  if (!place || !image.isConnected) return;
  place.querySelector("p").textContent = words;
  place.hidden = false;
  if (image.id === "after") by("frame").hidden = true;
  else by("frame").classList.add("is-plain");
}

document.addEventListener("error", (event) => void explain(event.target), true);

let prepared = null;
// Which photo was shown last, and the slider or list that was touched last on it.
let shown = null;
let touched = null;

document.addEventListener("input", ({ target }) => {
  if (target.matches?.("#adjust .slider input, #adjust select")) touched = target.id;
});

// From a button of a form that can be pressed no more back to what it was pressed about.
function backToTouched(form) {
  const last = touched && by(touched)?.closest(`#${form}`) ? by(touched) : by("crop");
  const place = form === "looks" ? by(form)?.querySelector("input[name=preset]:checked") : last;
  (place?.checkVisibility() ? place : by("name")).focus({ preventScroll: true });
}

document.addEventListener("reset", ({ target }) => {
  if (target.matches("#adjust, #looks") && target.contains(document.activeElement)) setTimeout(backToTouched, 0, target.id);
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const form = detail.requestConfig?.elt;
  if (!form?.matches?.("#adjust, #looks")) return;
  if (document.activeElement.matches("body, #adjust button, #looks button")) backToTouched(form.id);
});

function prepare() {
  if (!photo()) return;
  if (shown !== photo().dataset.id) {
    touched = null;
    // Another photo begins at its top, also for the keyboard.
    if (shown !== null) {
      window.scrollTo(0, 0);
      by("name").focus({ preventScroll: true });
    }
    shown = photo().dataset.id;
  }
  if (by("adjust")) {
    fields().forEach(tell);
    settle();
    showLook();
  }
  if (prepared === photo()) return;
  prepared = photo();
  untold();
  leaveCrop();
  forget();
  makeReady();
  // Some fail before anybody listens.
  for (const image of document.querySelectorAll("#frame > img[src]")) {
    if (image.complete && !image.naturalWidth) explain(image);
  }
  if (by("split")) split(by("split").value);
  document.title = `${photo().dataset.name} \u00b7 Sidecar`;
}

document.addEventListener("htmx:afterSwap", prepare);
window.addEventListener("beforeunload", (event) => {
  if (dirty() || tried() || frameMoved()) event.preventDefault();
});
prepare();
