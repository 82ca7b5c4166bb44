// A grid of pictures of the same frames: one cursor over all of them; a click opens one, or asks
// there.

const STEP = 0.015; // of a picture, for a key
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const mounts = new WeakMap();

function tileOf(tile, action) {
  const figure = document.createElement("figure");
  const opens = action === "open";
  const picture = document.createElement(opens ? "button" : "div");
  picture.className = "picture";
  picture.dataset.id = tile.id;
  if (opens) {
    picture.setAttribute("type", "button");
    picture.setAttribute("aria-label", `Show ${tile.label} in the viewer`);
    if (tile.chosen) picture.setAttribute("aria-current", "true");
  }
  const image = new Image();
  image.src = tile.src;
  image.alt = opens ? "" : `Heat of ${tile.label}`;
  if (!opens) {
    picture.tabIndex = 0;
    picture.setAttribute("role", "application");
    picture.setAttribute(
      "aria-label",
      `${tile.label}: arrow keys move the cursor, with Shift farther; Enter asks there`,
    );
  }
  image.draggable = false;
  picture.append(image);
  const caption = document.createElement("figcaption");
  const name = document.createElement("b");
  name.textContent = tile.label;
  const note = document.createElement("span");
  note.textContent = tile.note;
  caption.append(name, note);
  figure.append(picture, caption);
  return figure;
}

function fraction(event, picture) {
  const box = picture.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

/** Put the cursor at fractions of every picture's width and height. */
function place(sheet, mount, at) {
  mount.at = at.map((value) => Math.min(Math.max(value, 0), 0.999));
  sheet.style.setProperty("--u", mount.at[0]);
  sheet.style.setProperty("--v", mount.at[1]);
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  const sheet = root.querySelector(".sheet");
  let mount = mounts.get(root);
  if (!mount) {
    mount = { at: [0.5, 0.5], sent: 0 };
    mounts.set(root, mount);
    sheet.addEventListener("pointermove", (event) => {
      const picture = event.target.closest(".picture");
      sheet.classList.toggle("pointed", Boolean(picture));
      if (!picture) return;
      place(sheet, mount, fraction(event, picture));
    });
    sheet.addEventListener("keydown", (event) => {
      if (mount.action !== "ask" || !event.target.classList.contains("picture")) return;
      const [across, down] = STEPS[event.key] ?? [];
      if (event.key === "Enter") mount.send("ask", mount.at);
      else if (across === undefined) return;
      else {
        const step = event.shiftKey ? 5 * STEP : STEP;
        place(sheet, mount, [mount.at[0] + across * step, mount.at[1] + down * step]);
        sheet.classList.add("pointed");
      }
      event.preventDefault();
      event.stopPropagation();
    });
    sheet.addEventListener("focusout", () => sheet.classList.remove("pointed"));
    sheet.addEventListener("pointerleave", () => sheet.classList.remove("pointed"));
    sheet.addEventListener("click", (event) => {
      const picture = event.target.closest(".picture");
      if (!picture) return;
      if (mount.action === "open") mount.send("open", picture.dataset.id);
      else mount.send("ask", fraction(event, picture));
    });
  }
  const cleanup = () => mounts.delete(root);
  if (data.sent < mount.sent) return cleanup; // the call with newer data went first
  mount.sent = data.sent;
  mount.send = setTriggerValue;
  mount.action = data.action;
  const focused = root.activeElement ?? root.getRootNode().activeElement;
  const id = sheet.contains(focused) ? focused.dataset.id : null;
  sheet.style.setProperty("--widest", `${data.widest}px`);
  sheet.classList.toggle("asks", data.action === "ask");
  sheet.replaceChildren(...data.tiles.map((tile) => tileOf(tile, data.action)));
  if (id) sheet.querySelector(`.picture[data-id="${CSS.escape(id)}"]`)?.focus();
  return cleanup;
}
