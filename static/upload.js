// Uploading from the inbox: files chosen or dropped, one after the other, with what became of each.

import { address } from "./toasts.js";

const by = (id) => document.getElementById(id);
const QUEUE = [];

let sending = null;
let sent = { bytes: 0, files: 0, taken: 0, known: 0, refused: 0 };
let wanted = { bytes: 0, files: 0 };

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function tell(part = 0) {
  by("uploads").hidden = false;
  by("uploads-bar").value = wanted.bytes ? (sent.bytes + part) / wanted.bytes : 1;
  by("uploads-words").textContent = `Uploading ${Math.min(sent.files + 1, wanted.files)} of ${wanted.files}`;
}

function problem(name, words) {
  const line = document.createElement("li");
  const [file, why] = [document.createElement("strong"), document.createElement("span")];
  file.textContent = name;
  why.textContent = words;
  line.append(file, why);
  by("uploads-problems").append(line);
  sent.refused += 1;
}

// Gives { status, body }; status 0: no answer.
function send(file) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    sending = request;
    request.open("POST", address("/api/photos", { name: file.name }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("loadend", () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch {
        // no answer, or not ours: a proxy answered
      }
      resolve({ status: request.status, body });
    });
    request.send(file);
  });
}

async function work() {
  await null; // whoever called knows by then that it works
  by("uploads-end").textContent = "Cancel";
  while (QUEUE.length) {
    const file = QUEUE.shift();
    tell();
    const { status, body } = file.size ? await send(file) : { status: 400, body: { error: "The file is empty." } };
    sending = null;
    if (cancelled) break;
    sent.bytes += file.size;
    sent.files += 1;
    if (status === 401) return window.location.reload();
    if (status === 201) sent.taken += 1;
    else if (status === 200) sent.known += 1;
    else if (status === 0) problem(file.name, "The service does not answer.");
    else problem(file.name, body.error ?? `The service answered with ${status}.`);
  }
  end();
}

let working = null;
let cancelled = false;
let hiding = null;

function end() {
  working = null;
  const parts = [];
  if (sent.taken) parts.push(`${plural(sent.taken, "photo")} uploaded`);
  if (sent.known) parts.push(`${sent.known} ${sent.known === 1 ? "was" : "were"} here already`);
  if (sent.refused) parts.push(`${sent.refused} refused`);
  if (cancelled) parts.push("the rest was cancelled");
  const words = parts.join(", ");
  by("uploads-words").textContent = words ? words[0].toUpperCase() + words.slice(1) : "Nothing was uploaded";
  by("uploads-bar").hidden = true;
  by("uploads-end").textContent = "Close";
  if (!sent.refused) hiding = setTimeout(close, 6000);
}

function close() {
  const hadFocus = by("uploads").contains(document.activeElement);
  by("uploads").hidden = true;
  if (hadFocus) by("upload")?.focus();
}

function add(files, folders = []) {
  if (!files.length && !folders.length) return;
  if (!working) {
    clearTimeout(hiding);
    cancelled = false;
    sent = { bytes: 0, files: 0, taken: 0, known: 0, refused: 0 };
    wanted = { bytes: 0, files: 0 };
    by("uploads-problems").replaceChildren();
    by("uploads-bar").hidden = false;
    by("uploads").hidden = false;
  }
  for (const name of folders) problem(name, "This is a folder. Open it and drop the photos in it.");
  for (const file of files) {
    QUEUE.push(file);
    wanted.files += 1;
    wanted.bytes += file.size;
  }
  working ??= work();
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#upload") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    by("upload-files").click();
  }
  if (event.target.closest?.("#uploads-end")) {
    if (!working) return close();
    cancelled = true;
    QUEUE.length = 0;
    sending?.abort();
  }
});

// Not at the input itself: going back in the history brings another one.
document.addEventListener("change", (event) => {
  if (event.target.id !== "upload-files") return;
  add([...event.target.files]);
  event.target.value = "";
});

// Dropping

let depth = 0;

const brings = (event) => event.dataTransfer?.types.includes("Files");

function hover(change) {
  depth = Math.max(0, depth + change);
  by("drop").hidden = depth === 0;
}

document.addEventListener("dragenter", (event) => brings(event) && hover(1));
document.addEventListener("dragleave", (event) => brings(event) && hover(-1));
document.addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
document.addEventListener("drop", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  hover(-depth);
  const files = [];
  const folders = [];
  for (const item of event.dataTransfer.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) folders.push(entry.name);
    else if (item.getAsFile()) files.push(item.getAsFile());
  }
  add(files, folders);
});

window.addEventListener("beforeunload", (event) => {
  if (working) event.preventDefault();
});
