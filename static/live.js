// Follows the service's events and hands them to the page; connects again by itself and misses nothing.

import { address } from "./toasts.js";

const FIRST_WAIT = 400;
const LONGEST_WAIT = 15000;
const SIGN_IN_AGAIN = 4401;

let last = Number(document.body.dataset.lastEvent) || 0;
let wait = FIRST_WAIT;
let socket = null;
let offlineTimer = null;
let leaving = false;
let wasOpen = false;

// What is heard while htmx waits for an answer is handed on once more after it: the answer may be older than the news.
let asking = 0;
let heard = [];

function hand(event) {
  document.dispatchEvent(new CustomEvent("sidecar:event", { detail: event }));
}

document.addEventListener("htmx:beforeSend", ({ detail: { xhr } }) => {
  asking += 1;
  // Events of htmx do not reach us from elements that were replaced meanwhile; those of the request do.
  xhr.addEventListener("loadend", () => {
    asking -= 1;
    if (asking) return;
    const again = heard;
    heard = [];
    setTimeout(() => again.forEach(hand));
  });
});

function connect() {
  const target = new URL(address("/ws", { after: last }), window.location.href);
  target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(target);
  let opened = false;
  socket.addEventListener("open", () => {
    opened = wasOpen = true;
    wait = FIRST_WAIT;
    clearTimeout(offlineTimer);
    offlineTimer = null;
    show(false);
  });
  socket.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (event.id) last = Math.max(last, event.id);
    if (event.type === "events_lost") window.location.reload();
    if (asking && event.type !== "progress") heard.push(event);
    hand(event);
  });
  socket.addEventListener("close", ({ code }) => {
    if (leaving) return;
    if (code === SIGN_IN_AGAIN) return window.location.reload();
    if (wasOpen && !opened) signInAgain();
    offlineTimer ??= setTimeout(() => show(true), 2500);
    setTimeout(connect, wait * (0.7 + 0.6 * Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  });
}

// Why it could not be opened the browser does not say: perhaps nobody knows who this is any more.
async function signInAgain() {
  const response = await fetch(address("/api/photos", { limit: 1 })).catch(() => null);
  if (response?.status === 401 && !leaving) window.location.reload();
}

function show(offline) {
  document.getElementById("offline").hidden = !offline;
}

window.addEventListener("pagehide", () => {
  leaving = true;
  socket?.close();
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leaving = false;
  connect();
});
window.addEventListener("online", () => {
  wait = FIRST_WAIT;
});

// Calls at most once per `delay`, and always once more after the last request.
export function coalesce(callback, delay) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      callback();
    }, delay);
  };
}

// A number of bytes for people, in powers of 1024, as the pages have it.
export function bytes(count) {
  let value = count;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return unit === "B" || value >= 100 ? `${Math.round(value)} ${unit}` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

// Whether the upload is on the page, and shows now how much was sent.
function showUpload(id, { n, sent, total, rate }) {
  const line = document.querySelector(`[data-upload="${CSS.escape(`${id}:${n}`)}"]`);
  if (!line) return false;
  const bar = line.querySelector("progress");
  [bar.max, bar.value] = [total || 1, sent];
  line.querySelector(".sent").textContent = `${bytes(sent)} of ${bytes(total)}`;
  const speed = document.getElementById("upload-rate");
  if (speed && rate) speed.textContent = `${bytes(rate)} a second`;
  return true;
}

// Gives what asks for the whole content of a page anew, at most once per `delay`, and not while it is held: while
// something on it is pressed, or somebody reads what must not close under their eyes.
export function renewal(id, delay, isRead = () => false) {
  let missed = false;
  const isHeld = (content) => content.querySelector("button:active, summary:active") !== null || isRead(content);
  const refresh = coalesce(() => {
    const content = document.getElementById(id);
    missed = isHeld(content);
    if (!missed) htmx.trigger(content, "refresh");
  }, delay);
  // Nor when the answer comes only after they began.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, verb } = detail.requestConfig;
    if (elt.id !== id || verb !== "get" || !isHeld(elt)) return;
    detail.shouldSwap = false;
    missed = true;
  });
  // What was left out meanwhile comes when they are done.
  for (const name of ["toggle", "pointerup", "pointercancel", "keyup"]) {
    document.addEventListener(name, () => missed && refresh(), { capture: true });
  }
  return refresh;
}

// Queue and status: the whole content is small and is asked for anew.
const page = ["queue", "status", "backfill"].find((name) => document.getElementById(name)) ?? null;
if (page) {
  const refresh = renewal(page, 700, (content) => page === "backfill" && content.querySelector("details[open]") !== null);
  document.addEventListener("sidecar:event", ({ detail: { type, data } }) => {
    if (type === "progress" && data.upload) {
      if (page === "queue" && !showUpload(data.file_id, data.upload)) refresh();
    } else if (type === "progress") {
      const bar = document.querySelector(`#${page} [data-id="${CSS.escape(data.file_id)}"] progress`);
      if (bar) bar.value = data.progress;
      else if (page === "queue") refresh();
    } else {
      refresh();
    }
  });
}

// Not before every script of the page listens: modules run in any order that the network likes, and all of them before
// this. What happens meanwhile is told from `last` on.
document.addEventListener("DOMContentLoaded", connect, { once: true });
