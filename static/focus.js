// Where the focus goes when what had it goes away: to the same thing in what took its place, else to what stood after
// or before it in the same part of the page, so that a keyboard goes on where it was.

const REACHABLE = "a[href], button, input, select, textarea, summary, [tabindex='0']";
// A part with `data-refocus` says where to go when nothing below it is left.
const PARTS = "li, form, section, nav, .column, [role=toolbar], [role=list], [data-refocus], main";
// Into these one writes: on a phone the focus would open its keyboard.
const WRITTEN = "textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=file])";

// What had the focus last, and what had it before a message at the bottom of the page.
let had = null;
let before = null;
let byPointer = false;

const isThere = (element) => element.isConnected && !element.matches(":disabled") && element.checkVisibility();

// What is the same thing where the content comes anew.
function nameOf(element) {
  if (element.id) return `#${element.id}`;
  if (element.matches("summary")) return `summary ${element.parentElement.id || element.textContent}`;
  if (element.matches("a")) return `to ${element.getAttribute("href")}`;
  return `${element.form?.getAttribute("action")} ${element.name} ${element.value} ${element.textContent}`;
}

const reachable = (part) => [...part.querySelectorAll(REACHABLE)].filter((element) => element.tabIndex >= 0);

// An element, its name, the elements around it with theirs, the nearest part first, and where to go without any.
function remember(element) {
  const around = [];
  let part = element.parentElement?.closest(PARTS);
  while (part && part.dataset.refocus === undefined) {
    const all = reachable(part);
    const at = all.indexOf(element);
    around.push(...[...all.slice(at + 1), ...all.slice(0, Math.max(at, 0)).reverse()].map((one) => [one, nameOf(one)]));
    part = part.parentElement?.closest(PARTS);
  }
  return { element, name: nameOf(element), around, home: part?.dataset.refocus ?? "#main" };
}

function find({ element, name, around, home }) {
  if (isThere(element)) return element;
  const now = new Map(reachable(document.body).reverse().map((one) => [nameOf(one), one]));
  const same = now.get(name);
  if (same && isThere(same)) return same;
  for (const [one, its] of around) {
    const found = one.isConnected ? one : now.get(its);
    if (found && isThere(found) && !found.matches(WRITTEN)) return found;
  }
  return document.querySelector(home) ?? document.getElementById("main");
}

document.addEventListener("focusin", ({ target }) => {
  const isMessage = target.closest("#toasts") !== null;
  if (isMessage && !had?.isMessage) before = had;
  had = { ...remember(target), isMessage };
});
document.addEventListener("keydown", () => (byPointer = false), true);
document.addEventListener(
  "pointerdown",
  ({ target }) => {
    byPointer = true;
    // Who presses beside everything wants the focus nowhere.
    if (!target.closest?.(`${REACHABLE}, label`)) had = null;
  },
  true,
);

function look() {
  const active = document.activeElement;
  if (!had || isThere(had.element) || (active && active !== document.body && isThere(active))) return;
  const place = had.isMessage ? before : had;
  had = null;
  if (place) find(place).focus({ preventScroll: byPointer });
}

new MutationObserver(look).observe(document.body, {
  subtree: true,
  childList: true,
  attributeFilter: ["hidden", "disabled", "open"],
});

// Menus close by Escape, and where something else is pressed.
const openMenu = () => document.querySelector("details:is(.owners, .look-menu)[open]");

document.addEventListener(
  "keydown",
  (event) => {
    const menu = event.key === "Escape" ? openMenu() : null;
    if (!menu) return;
    event.stopPropagation();
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  },
  true,
);
document.addEventListener("pointerdown", ({ target }) => {
  const menu = openMenu();
  if (menu && !menu.contains(target)) menu.open = false;
});
