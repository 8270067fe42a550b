// The inbox: selecting, deciding with keys and buttons, looking at the original, and photos that arrive.

import { address, ask, toast } from "./toasts.js";
import { coalesce } from "./live.js";

const WORKING = ["analysing", "advising", "rendering", "keeping"];
const HOLD_MS = 280;
const PIECES = 8;
const FILES_MS = 20000;
// Photos that the service is asked about at once; it takes 500.
const AT_ONCE = 100;
const SECOND = { approve: "approved", reject: "rejected" };
// Commands after which photos come back to where they were, and which can be undone.
const AGAIN = { preset: "given the look" };
// Events of photos that stay under their filter.
const STAYS = ["photo_analysed", "photo_suggested", "publish_changed", "publish_blocked"];

const inbox = () => document.getElementById("inbox");
const grid = () => document.getElementById("grid");
const show = () => inbox().dataset.show;
const cards = () => [...grid().querySelectorAll(".card:not(.is-leaving)")];
const card = (id) => document.getElementById(`card-${id}`);
const tick = (item) => item.querySelector(".tick input");
const picked = () => cards().filter((item) => tick(item).checked);
const focused = () => document.activeElement?.closest?.(".card");

let lastTicked = null;
// What U takes back: the commands, and whether that was done.
let undoable = null;
// The answer to what was decided last.
let deciding = Promise.resolve();
// Ids of photos whose decision is under way: a card of theirs that comes anew leaves as well.
const leaving = new Set();

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
  const items = picked();
  const wasInBar = document.getElementById("selection").contains(document.activeElement);
  for (const item of items) tick(item).checked = false;
  if (wasInBar) (items.includes(lastTicked) ? lastTicked : items[0])?.querySelector(".picture").focus();
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
  if (!event.submitter) return;
  const action = event.submitter.value;
  if (action !== "preset") return decide(picked(), action);
  document.getElementById("look-menu").open = false;
  const { preset, strength } = Object.fromEntries(new FormData(event.target));
  decide(picked(), action, { preset, strength: Number(strength) });
});

// Deciding

// Asks for many commands, piece by piece; gives the results that came, and what kept the others from coming.
async function command(items) {
  const results = [];
  try {
    for (let from = 0; from < items.length; from += AT_ONCE) {
      results.push(...(await ask("POST", "/api/photos/batch", items.slice(from, from + AT_ONCE))).results);
    }
  } catch (error) {
    return { results, problem: error.message };
  }
  return { results, problem: null };
}

async function decide(items, action, more = {}) {
  items = items.filter((item) => item && !item.classList.contains("is-leaving"));
  if (!items.length) return;
  const following = focused() ? items.includes(focused()) && neighbour(focused(), items) : neighbour(items.at(-1), items);
  const ids = items.map((item) => item.dataset.id);
  for (const item of items) {
    item.classList.add("is-leaving");
    leaving.add(item.dataset.id);
  }
  const wanted = items.map((item) => ({ id: item.dataset.id, version: Number(item.dataset.version), action, ...more }));
  deciding = command(wanted);
  const { results, problem } = await deciding;
  for (const id of ids) leaving.delete(id);
  const done = results.filter((result) => result.ok);
  const refused = results.filter((result) => !result.ok);
  for (const { id } of done) {
    const item = card(id);
    if (item && (SECOND[action] === show() || AGAIN[action])) refresh(id);
    else item?.remove();
  }
  // What the service did not answer it may have done all the same.
  for (const { id } of [...refused, ...wanted.slice(results.length)]) {
    card(id)?.classList.remove("is-leaving");
    refresh(id);
  }
  lastTicked = null;
  count();
  if (following && done.length && isLeft(ids)) card(following.dataset.id)?.querySelector(".picture").focus();
  refreshFilters();
  if (problem) toast(problem, { bad: true });
  if (refused.length) {
    const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
    toast(`${refused[0].error}${more}`, { bad: true });
  }
  if (!done.length) return;
  const words = SECOND[action] ?? AGAIN[action];
  // Nothing is done to a photo that has the look already: to undo would take back what was decided before.
  const versions = new Map(wanted.map(({ id, version }) => [id, version]));
  const changed = action === "preset" ? done.filter(({ id, version }) => version !== versions.get(id)) : done;
  if (!changed.length) return void toast(`The photo${done.length === 1 ? " has" : "s have"} that look already`);
  const what = `${changed.length === 1 ? "Photo" : `${changed.length} photos`} ${words ?? "tried again"}`;
  if (!words) return void toast(what);
  const mine = { items: changed.map(({ id, version }) => ({ id, version, action: "undo" })), done: false };
  undoable = mine;
  mine.close = toast(what, { action: "Undo", act: () => undo(mine) });
  topUp();
}

// Each decision is taken back once: a second time would take back the one before it.
async function undo(decision) {
  if (!decision || decision.done) return;
  decision.done = true;
  decision.close();
  if (decision === undoable) undoable = null;
  const { results, problem } = await command(decision.items);
  const refused = results.filter((result) => !result.ok);
  for (const { id } of results.filter((result) => result.ok)) refresh(id);
  toast(problem ?? refused[0]?.error ?? "Undone", { bad: Boolean(problem || refused.length) });
  refreshFilters();
}

// The card after one that goes with others, or the one before it.
function neighbour(item, others) {
  const all = cards();
  const index = all.indexOf(item);
  const after = all.slice(index + 1).find((one) => !others.includes(one));
  return after ?? all.slice(0, index).reverse().find((one) => !others.includes(one));
}

// Whether the focus is nowhere, or where it cannot stay now that these photos have left.
function isLeft(ids) {
  const active = document.activeElement;
  const bar = document.getElementById("selection");
  return active === document.body || ids.includes(focused()?.dataset.id) || (bar.contains(active) && !picked().length);
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
  const current = focused();
  // From a card that leaves to those beside it.
  const all = [...grid().querySelectorAll(".card")].filter((item) => item === current || cards().includes(item));
  if (!all.length) return;
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
  if (event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "a" && cards().length) {
      event.preventDefault();
      for (const item of cards()) tick(item).checked = true;
      count();
    }
    return;
  }
  // A key that is held moves on and on, and does anything else once.
  if (event.repeat && !key.startsWith("Arrow")) return;
  const targets = () => (picked().length ? picked() : [focused()]);
  if (key.startsWith("Arrow")) move(event, key);
  else if (key === "a" && show() !== "approved" && ["pending", "rejected"].includes(show())) decide(targets(), "approve");
  else if (key === "r" && ["pending", "approved"].includes(show())) decide(targets(), "reject");
  else if (key === "x" && focused()) select(focused(), !tick(focused()).checked, event.shiftKey);
  // Not of what came before, while the answer to the last decision is on its way.
  else if (key === "u") deciding.then(() => undo(undoable));
  else if (key === "l" && picked().length && document.getElementById("look-menu")) {
    document.getElementById("look-menu").open = true;
    document.getElementById("bulk-preset").focus();
  } else if (key === "b") focused()?.classList.add("show-before");
  else if (key === "?") document.getElementById("help").showModal();
  else if (key === "Escape") clear();
  // In a box to tick, Enter would press the first button of the form.
  else if (key === "Enter" && event.target.matches(".tick input")) {
    window.location.assign(focused().querySelector(".picture").href);
  } else return;
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
    made.classList.toggle("is-leaving", leaving.has(id));
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

// Somebody writes or chooses something, or has written it: that would be gone with the content.
function isWriting() {
  return document.activeElement?.matches("input, select") || Boolean(document.getElementById("search-text").value);
}

const announced = new Set();

function announce(ids) {
  for (const id of ids) announced.add(id);
  const button = document.getElementById("arrivals");
  button.textContent = `${announced.size} new photo${announced.size === 1 ? "" : "s"}`;
  button.hidden = false;
  if (window.scrollY < 300 && !picked().length && !focused() && !isWriting()) reload();
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
  if (item) {
    if (!item.classList.contains("is-leaving")) refresh(id);
    return;
  }
  // A photo that stays where it is, and has no card, stands in a piece that is not loaded.
  const comes = belongs(data.status) && !(STAYS.includes(type) && grid().querySelector(".more"));
  // A card that is on its way may show what the photo is no more.
  if (comes || renewals.has(id)) refresh(id);
});

// What was put on top as new is not listed once more further below.
document.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target.matches?.(".card") && card(target.dataset.id) !== target) target.remove();
});

function settled() {
  if (!inbox()) return;
  count();
  const chosen = document.querySelector("#filters [aria-current]");
  if (chosen) chosen.parentElement.scrollLeft = chosen.offsetLeft - (chosen.parentElement.clientWidth - chosen.offsetWidth) / 2;
}

document.addEventListener("htmx:afterSettle", settled);
settled();
