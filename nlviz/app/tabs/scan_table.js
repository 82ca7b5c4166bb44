// The heat table of a scan: blocks down, heads across; a click on a number chooses its head.

const mounts = new WeakMap();

function numberOf(cell, data) {
  const inner = document.createElement(cell.opens ? "button" : "span");
  inner.className = "cell";
  if (cell.opens) inner.setAttribute("type", "button");
  if (cell.value === null) {
    inner.textContent = "–";
    return inner;
  }
  const share = data.high > data.low ? (cell.value - data.low) / (data.high - data.low) : 0;
  inner.style.setProperty("--share", share.toFixed(3));
  inner.classList.toggle("dark", share < 0.55);
  inner.textContent = (100 * cell.value).toFixed(0);
  inner.title = cell.said;
  inner.setAttribute("aria-label", cell.said);
  inner.dataset.id = cell.id;
  if (cell.chosen) inner.setAttribute("aria-current", "true");
  inner.classList.toggle("best", cell.best);
  return inner;
}

function rowOf(row, data) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = row.name;
  line.append(name);
  for (const cell of row.cells) {
    const place = document.createElement("td");
    place.append(numberOf(cell, data));
    line.append(place);
  }
  return line;
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  const table = root.querySelector("table");
  let mount = mounts.get(root);
  if (!mount) {
    mount = { sent: 0 };
    mounts.set(root, mount);
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.id) mount.send("open", button.dataset.id);
    });
  }
  const cleanup = () => mounts.delete(root);
  if (data.sent < mount.sent) return cleanup; // the call with newer data went first
  mount.sent = data.sent;
  mount.send = setTriggerValue;
  const focused = root.activeElement ?? root.getRootNode().activeElement;
  const id = table.contains(focused) ? focused.dataset.id : null;
  const head = document.createElement("tr");
  for (const name of ["", ...data.columns]) {
    const place = document.createElement("th");
    place.scope = "col";
    place.textContent = name;
    head.append(place);
  }
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...data.rows.map((row) => rowOf(row, data)));
  if (id) table.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus();
  return cleanup;
}
