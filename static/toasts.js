// Short messages at the bottom of the page, with at most one thing to do about each.

const SECONDS = 6;
const AWAY = "The service does not answer.";

export function toast(message, { bad = false, action = null, act = null, seconds = SECONDS } = {}) {
  const region = document.getElementById("toasts");
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const text = document.createElement("span");
  text.textContent = message;
  box.append(text);
  const close = () => box.remove();
  if (action) {
    const button = document.createElement("button");
    button.className = "button";
    button.type = "button";
    button.textContent = action;
    button.addEventListener("click", () => {
      close();
      act();
    });
    box.append(button);
  }
  while (region.children.length > 2) region.firstChild.remove();
  region.append(box);
  let timer = setTimeout(close, (bad ? 2 * seconds : seconds) * 1000);
  for (const name of ["pointerenter", "focusin"]) box.addEventListener(name, () => clearTimeout(timer));
  for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, () => (timer = setTimeout(close, 2500)));
  return close;
}

// The address of something of ours: base path and owner are kept.
export function address(path, query = {}) {
  const { base, owner } = document.body.dataset;
  const pairs = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null));
  if (owner !== "local") pairs.set("owner", owner);
  const text = pairs.toString();
  return `${base}${path}${text ? `?${text}` : ""}`;
}

// What went wrong, for people: a service that is away shows as a failed fetch, or as an answer that is none of ours.
export function reason(error) {
  return error instanceof TypeError || error instanceof SyntaxError ? AWAY : error.message;
}

export async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(address(path), {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error(AWAY);
  }
  // Nobody knows who this is any more: the page leads to where they sign in.
  if (response.status === 401) window.location.reload();
  const told = await response.json().catch(() => ({ error: "The service does not answer as expected." }));
  if (!response.ok) throw Object.assign(new Error(told.error), { status: response.status });
  return told;
}

// Who asks again and again says nothing of it: the next answer may be a better one.
const asksAgain = ({ detail }) => detail.elt.getAttribute?.("hx-trigger")?.startsWith("every") ?? false;

// What the service refused is said, whoever asked for it.
document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  let message = `The service answered with ${xhr.status}.`;
  try {
    message = JSON.parse(xhr.responseText).error;
  } catch {
    // not ours: a proxy answered
  }
  if (xhr.status === 401) {
    window.location.reload();
    return;
  }
  if (!asksAgain(event)) toast(message, { bad: true });
});
document.addEventListener("htmx:sendError", (event) => {
  if (!asksAgain(event)) toast(AWAY, { bad: true });
});

// What was done is said; the page of a photo says it by itself, with the way back.
document.addEventListener("htmx:beforeSend", ({ detail: { xhr } }) => {
  xhr.addEventListener("loadend", () => {
    const done = xhr.status >= 200 && xhr.status < 400 && xhr.getResponseHeader("X-Done");
    if (done && !document.getElementById("photo")) toast(done);
  });
});
