// Follows the service's events and hands them to the page; connects again by itself and misses nothing.

import { address } from "./toasts.js";

const FIRST_WAIT = 400;
const LONGEST_WAIT = 15000;

let last = Number(document.body.dataset.lastEvent) || 0;
let wait = FIRST_WAIT;
let socket = null;
let offlineTimer = null;
let leaving = false;

function connect() {
  const target = new URL(address("/ws", { after: last }), window.location.href);
  target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(target);
  socket.addEventListener("open", () => {
    wait = FIRST_WAIT;
    clearTimeout(offlineTimer);
    offlineTimer = null;
    show(false);
  });
  socket.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (event.id) last = Math.max(last, event.id);
    if (event.type === "events_lost") window.location.reload();
    document.dispatchEvent(new CustomEvent("sidecar:event", { detail: event }));
  });
  socket.addEventListener("close", () => {
    if (leaving) return;
    offlineTimer ??= setTimeout(() => show(true), 2500);
    setTimeout(connect, wait * (0.7 + 0.6 * Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  });
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

// Queue and status: the whole content is small and is asked for anew.
const page = document.getElementById("queue") ? "queue" : document.getElementById("status") ? "status" : null;
if (page) {
  const refresh = coalesce(() => {
    const content = document.getElementById(page);
    if (content.contains(document.activeElement) && document.activeElement.matches("button:active")) return;
    htmx.trigger(content, "refresh");
  }, 700);
  document.addEventListener("sidecar:event", ({ detail: { type, data } }) => {
    if (type === "progress") {
      const bar = document.querySelector(`#${page} [data-id="${CSS.escape(data.file_id)}"] progress`);
      if (bar) bar.value = data.progress;
      else if (page === "queue") refresh();
    } else {
      refresh();
    }
  });
}

connect();
