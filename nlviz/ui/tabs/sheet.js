// A sheet of pictures of the same frames: one cursor over all of them; a click opens one, or asks there.

const mounts = new WeakMap();

function tileOf(tile, action) {
  const figure = document.createElement("figure");
  const opens = action === "open";
  const picture = document.createElement(opens ? "button" : "div");
  picture.className = "picture";
  picture.dataset.id = tile.id;
  if (opens) {
    picture.type = "button";
    picture.setAttribute("aria-label", `Show ${tile.label} in the viewer`);
    if (tile.chosen) picture.setAttribute("aria-current", "true");
  }
  const image = new Image();
  image.src = tile.src;
  image.alt = opens ? "" : `Heat of ${tile.label}`;
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

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  const sheet = root.querySelector(".sheet");
  let mount = mounts.get(root);
  if (!mount) {
    mount = {};
    mounts.set(root, mount);
    sheet.addEventListener("pointermove", (event) => {
      const picture = event.target.closest(".picture");
      sheet.classList.toggle("pointed", Boolean(picture));
      if (!picture) return;
      const [u, v] = fraction(event, picture);
      sheet.style.setProperty("--u", u);
      sheet.style.setProperty("--v", v);
    });
    sheet.addEventListener("pointerleave", () => sheet.classList.remove("pointed"));
    sheet.addEventListener("click", (event) => {
      const picture = event.target.closest(".picture");
      if (!picture) return;
      if (mount.action === "open") mount.send("open", picture.dataset.id);
      else mount.send("ask", fraction(event, picture));
    });
  }
  mount.send = setTriggerValue;
  mount.action = data.action;
  const focused = root.activeElement ?? root.getRootNode().activeElement;
  const id = sheet.contains(focused) ? focused.dataset.id : null;
  sheet.style.setProperty("--widest", `${data.widest}px`);
  sheet.classList.toggle("asks", data.action === "ask");
  sheet.replaceChildren(...data.tiles.map((tile) => tileOf(tile, data.action)));
  if (id) sheet.querySelector(`button[data-id="${CSS.escape(id)}"]`)?.focus();
  return () => mounts.delete(root);
}
