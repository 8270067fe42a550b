// Short messages at the bottom of the page, with at most one thing to do about each.

const SECONDS = 6;

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
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => (timer = setTimeout(close, 2500)));
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

export async function ask(method, path, body) {
  const response = await fetch(address(path), {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await response.json().catch(() => ({ error: "The service does not answer as expected." }));
  if (!response.ok) throw Object.assign(new Error(told.error), { status: response.status });
  return told;
}

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
  toast(message, { bad: true });
});
document.addEventListener("htmx:sendError", () => toast("The service does not answer.", { bad: true }));
