// The inbox: selecting, deciding with keys and buttons, looking at the original, and photos that arrive.

import { address, ask, toast } from "./toasts.js";
import { coalesce } from "./live.js";

const WORKING = ["analysing", "advising", "rendering", "keeping"];
const HOLD_MS = 280;
const PIECES = 8;
const FILES_MS = 20000;
const SECOND = { approve: "approved", reject: "rejected" };
// Commands after which photos come back to where they were, and which can be undone.
const AGAIN = { preset: "given the look" };

const inbox = () => document.getElementById("inbox");
const grid = () => document.getElementById("grid");
const show = () => inbox().dataset.show;
const cards = () => [...grid().querySelectorAll(".card:not(.is-leaving)")];
const card = (id) => document.getElementById(`card-${id}`);
const tick = (item) => item.querySelector(".tick input");
const picked = () => cards().filter((item) => tick(item).checked);
const focused = () => document.activeElement?.closest?.(".card");

let lastTicked = null;
let undoable = null;

// Selection

function count() {
  const number = picked().length;
  const label = document.getElementById("count");
  if (label) label.textContent = number;
}

function select(item, on, range) {
  const all = cards();
  const from = all.indexOf(lastTicked);
  const to = all.indexOf(item);
  if (range && from >= 0) {
    for (const other of all.slice(Math.min(from, to), Math.max(from, to) + 1)) tick(other).checked = on;
  }
  tick(item).checked = on;
  lastTicked = item;
  count();
}

function clear() {
  for (const item of picked()) tick(item).checked = false;
  lastTicked = null;
  count();
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.(".tick input");
  if (box) return select(box.closest(".card"), box.checked, event.shiftKey);
  if (event.target.closest?.("#clear")) return clear();
  if (event.target.closest?.("#all")) {
    for (const item of cards()) tick(item).checked = true;
    return count();
  }
  if (event.target.closest?.("#show-help")) return document.getElementById("help").showModal();
  if (event.target.closest?.("#arrivals")) return reload();
  const quick = event.target.closest?.("[data-do]");
  if (quick) return decide([quick.closest(".card")], quick.dataset.do);
  const picture = event.target.closest?.(".picture");
  if (picture && (held || (picked().length && !event.ctrlKey && !event.metaKey))) {
    event.preventDefault();
    if (!held) select(picture.closest(".card"), !tick(picture.closest(".card")).checked, event.shiftKey);
    held = false;
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "bulk") return;
  event.preventDefault();
  const action = event.submitter?.value ?? "approve";
  if (action !== "preset") return decide(picked(), action);
  document.getElementById("look-menu").open = false;
  const { preset, strength } = Object.fromEntries(new FormData(event.target));
  decide(picked(), action, { preset, strength: Number(strength) });
});

// Deciding

async function decide(items, action, more = {}) {
  items = items.filter(Boolean);
  if (!items.length) return;
  const before = focused();
  const following = before && items.includes(before) ? neighbour(items) : null;
  for (const item of items) item.classList.add("is-leaving");
  const wanted = items.map((item) => ({ id: item.dataset.id, version: Number(item.dataset.version), action, ...more }));
  let results;
  try {
    results = (await ask("POST", "/api/photos/batch", wanted)).results;
  } catch (error) {
    for (const item of items) item.classList.remove("is-leaving");
    toast(error.message, { bad: true });
    return;
  }
  const done = results.filter((result) => result.ok);
  const refused = results.filter((result) => !result.ok);
  for (const { id } of done) {
    const item = card(id);
    if (item && (SECOND[action] === show() || AGAIN[action])) refresh(id);
    else item?.remove();
  }
  for (const { id } of refused) {
    card(id)?.classList.remove("is-leaving");
    refresh(id);
  }
  lastTicked = null;
  count();
  following?.querySelector(".picture")?.focus();
  refreshFilters();
  if (refused.length) {
    const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
    toast(`${refused[0].error}${more}`, { bad: true });
  }
  if (!done.length) return;
  const words = SECOND[action] ?? AGAIN[action];
  const what = `${done.length === 1 ? "Photo" : `${done.length} photos`} ${words ?? "tried again"}`;
  if (!words) return void toast(what);
  undoable = done.map(({ id, version }) => ({ id, version, action: "undo" }));
  const mine = undoable;
  toast(what, { action: "Undo", act: () => undo(mine) });
  topUp();
}

async function undo(items) {
  if (!items) return;
  if (items === undoable) undoable = null;
  try {
    const { results } = await ask("POST", "/api/photos/batch", items);
    const refused = results.filter((result) => !result.ok);
    for (const { id } of results.filter((result) => result.ok)) arrive(id);
    toast(refused.length ? refused[0].error : "Undone", { bad: refused.length > 0 });
    refreshFilters();
  } catch (error) {
    toast(error.message, { bad: true });
  }
}

function neighbour(leaving) {
  const all = cards();
  const index = all.indexOf(focused());
  const after = all.slice(index + 1).find((item) => !leaving.includes(item));
  return after ?? all.slice(0, index).reverse().find((item) => !leaving.includes(item));
}

// With the last photos decided, the next piece comes at once.
function topUp() {
  const more = grid().querySelector(".more");
  if (more && cards().length < 12) htmx.trigger(more, "click");
}

document.addEventListener("input", (event) => {
  if (event.target.id === "bulk-strength") {
    document.getElementById("bulk-percent").textContent = `${event.target.value} %`;
  }
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "bulk-preset") return;
  const hasLook = event.target.selectedOptions[0].hasAttribute("data-look");
  document.getElementById("bulk-strength-row").hidden = !hasLook;
});

// Keys

function move(event, key) {
  const all = cards();
  if (!all.length) return;
  const current = focused();
  let target = all[0];
  if (current) {
    const index = all.indexOf(current);
    const box = current.getBoundingClientRect();
    const middle = box.left + box.width / 2;
    if (key === "ArrowLeft") target = all[index - 1];
    else if (key === "ArrowRight") target = all[index + 1];
    else {
      const down = key === "ArrowDown";
      const rows = (down ? all.slice(index + 1) : all.slice(0, index).reverse()).filter((item) => {
        const top = item.getBoundingClientRect().top;
        return down ? top > box.top + 8 : top < box.top - 8;
      });
      const row = rows.filter(
        (item) => Math.abs(item.getBoundingClientRect().top - rows[0].getBoundingClientRect().top) < 8,
      );
      const distance = (item) => {
        const other = item.getBoundingClientRect();
        return Math.abs(other.left + other.width / 2 - middle);
      };
      target = row.sort((a, b) => distance(a) - distance(b))[0];
    }
  }
  if (!target) return;
  event.preventDefault();
  target.querySelector(".picture").focus();
  target.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || document.querySelector("dialog[open]") || event.target.matches("input[type=text], textarea")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "a" && cards().length) {
      event.preventDefault();
      for (const item of cards()) tick(item).checked = true;
      count();
    }
    return;
  }
  const targets = () => (picked().length ? picked() : [focused()]);
  if (key.startsWith("Arrow")) move(event, key);
  else if (key === "a" && show() !== "approved" && ["pending", "rejected"].includes(show())) decide(targets(), "approve");
  else if (key === "r" && ["pending", "approved"].includes(show())) decide(targets(), "reject");
  else if (key === "x" && focused()) select(focused(), !tick(focused()).checked, event.shiftKey);
  else if (key === "u") undo(undoable);
  else if (key === "b") focused()?.classList.add("show-before");
  else if (key === "?") document.getElementById("help").showModal();
  else if (key === "Escape") clear();
  else return;
  if (!key.startsWith("Arrow")) event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "b") unhold();
});

// The original while a finger rests on the photo

let held = false;
let holdTimer = null;

function unhold() {
  clearTimeout(holdTimer);
  for (const item of document.querySelectorAll(".show-before")) item.classList.remove("show-before");
}

document.addEventListener("pointerdown", (event) => {
  held = false;
  const picture = event.target.closest?.(".picture");
  if (!picture || event.pointerType === "mouse") return;
  holdTimer = setTimeout(() => {
    held = true;
    picture.closest(".card").classList.add("show-before");
  }, HOLD_MS);
});
for (const name of ["pointerup", "pointercancel", "scroll"]) document.addEventListener(name, unhold, { passive: true });
document.addEventListener("contextmenu", (event) => {
  if (held || event.target.closest?.(".show-before")) event.preventDefault();
});

// Photos that change and arrive

const waiting = new Set();
let flushing = null;

function refresh(id) {
  waiting.add(id);
  flushing ??= setTimeout(flush, 350);
}

function arrive(id) {
  refresh(id);
}

async function flush() {
  flushing = null;
  const ids = [...waiting];
  waiting.clear();
  const fresh = ids.filter((id) => !card(id));
  const quiet = window.scrollY < 300 && !picked().length;
  if (fresh.length > PIECES || (fresh.length && !quiet)) {
    announce(fresh);
    await Promise.all(ids.filter((id) => card(id)).map(renew));
  } else {
    for (const id of ids) await renew(id);
  }
}

// Which card is being fetched for each photo; a later one counts.
const renewals = new Map();
let renewed = 0;

// A partial as text; null where there is none, or the service is away (events are then told again later).
async function partial(path, query) {
  try {
    const response = await fetch(address(path, query), { headers: { "HX-Request": "true" } });
    return response.ok ? (await response.text()).trim() : null;
  } catch {
    return null;
  }
}

async function renew(id) {
  const mine = ++renewed;
  renewals.set(id, mine);
  const wanted = show();
  const html = await partial(`/photos/${id}/card`, { show: wanted });
  if (renewals.get(id) !== mine) return;
  renewals.delete(id);
  if (html === null || show() !== wanted) return;
  const old = card(id);
  if (!html) return void old?.remove();
  const shelf = document.createElement("template");
  shelf.innerHTML = html;
  const made = shelf.content.firstElementChild;
  if (old) {
    tick(made).checked = tick(old).checked && made.dataset.version === old.dataset.version;
    const had = document.activeElement === old.querySelector(".picture");
    const image = old.querySelector("img.after");
    if (image && image.getAttribute("src") === made.querySelector("img.after")?.getAttribute("src")) {
      made.querySelector("img.after").replaceWith(image);
    }
    old.replaceWith(made);
    if (had) made.querySelector(".picture").focus();
  } else {
    grid().prepend(made);
  }
  count();
}

const announced = new Set();

function announce(ids) {
  for (const id of ids) announced.add(id);
  const button = document.getElementById("arrivals");
  button.textContent = `${announced.size} new photo${announced.size === 1 ? "" : "s"}`;
  button.hidden = false;
  if (window.scrollY < 300 && !picked().length && !focused()) reload();
}

const reload = () => {
  announced.clear();
  htmx.ajax("GET", address("/", { show: show() }), { target: "#inbox", swap: "outerHTML" });
};

const refreshFilters = coalesce(async () => {
  const wanted = show();
  const html = await partial("/filters", { show: wanted });
  if (!html || show() !== wanted) return;
  const shelf = document.createElement("template");
  shelf.innerHTML = html;
  const [old, made] = [document.getElementById("filters"), shelf.content.firstElementChild];
  const place = old.scrollLeft;
  old.replaceWith(made);
  made.scrollLeft = place;
  htmx.process(made);
}, 600);

// Files that could not be taken are no photos: no event of a photo tells of them.
const refreshFiles = coalesce(async () => {
  refreshFilters();
  if (show() !== "failed") return;
  const html = await partial("/failed-files");
  const old = document.getElementById("failed-files");
  if (!html || !old) return;
  const shelf = document.createElement("template");
  shelf.innerHTML = html;
  const made = shelf.content.firstElementChild;
  old.replaceWith(made);
  const empty = document.getElementById("empty");
  if (empty) empty.hidden = !made.hidden;
}, 600);

setInterval(() => document.visibilityState === "visible" && inbox() && refreshFiles(), FILES_MS);

function belongs(status) {
  return status === show() || (show() === "in_progress" && WORKING.includes(status));
}

document.addEventListener("sidecar:event", ({ detail: { type, data } }) => {
  const id = data.file_id;
  if (!inbox()) return;
  if (type === "queue_changed") refreshFiles();
  if (!id) return;
  const item = card(id);
  if (type === "progress") {
    const bar = item?.querySelector("progress");
    if (bar && !data.upload) bar.value = data.progress;
    return;
  }
  refreshFilters();
  // A card that is on its way may show what the photo is no more.
  if (item ? !item.classList.contains("is-leaving") : belongs(data.status) || renewals.has(id)) refresh(id);
});

function settled() {
  if (!inbox()) return;
  count();
  const chosen = document.querySelector("#filters [aria-current]");
  if (chosen) chosen.parentElement.scrollLeft = chosen.offsetLeft - (chosen.parentElement.clientWidth - chosen.offsetWidth) / 2;
}

document.addEventListener("htmx:afterSettle", settled);
settled();
