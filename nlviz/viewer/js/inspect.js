// Inspect: what the viewer shows, as plain data, for tests and benchmarks.

import { boxOf } from "./rows/grid.js";
import { exactLinks } from "./rows/links.js";

export function describe({ model, stage, pointing, player, readout, notice, render }) {
  const { clip, block, pins, wanted: options } = model;
  const { pin, place, hovered, seen, scale } = render.moment();
  const { layout } = stage;
  const own = options.reverse ? block?.key : block?.query;
  const [cell] = seen?.cells ?? [];
  const message = stage.message.hidden ? notice.textContent : stage.message.textContent;
  return {
    message,
    ...readout.text,
    place: place && {
      t: place.t,
      frame: clip.frames[place.t] ?? null,
      x: place.x,
      y: place.y,
      region: place.region ?? null,
      token: place.token ?? null,
      hovered,
    },
    cell: cell ? { ...cell, index: seen.indices[0], box: boxOf(own, cell, clip) } : null,
    cells: seen?.cells.length ?? 0,
    reaches: seen?.reaches ?? null,
    links: (seen?.links ?? []).map(({ cell: target, ...link }) => ({ ...link, ...target })),
    covered: seen?.covered ?? 0,
    shares: seen?.shares ?? [],
    done: seen?.done ?? 0,
    heat: scale && options.heat ? scale : null,
    components: model.components?.tag ?? null,
    pins: pins.map((
      { id, color, name = "", t, x, y, region = null, token = null, pending = false, exact },
    ) => ({
      id,
      color,
      name,
      t,
      x,
      y,
      region,
      token,
      pending,
      exact: Boolean(block && exactLinks({ exact }, block, options)),
    })),
    selected: pin?.id ?? null,
    options: { ...options },
    tool: pointing.tool,
    now: options.view === "player" ? player.now : null,
    playing: player.playing,
    layout: layout &&
      {
        columns: layout.columns,
        width: layout.width,
        height: layout.height,
        frames: layout.frames,
      },
    drawn: { ...render.timing, frames: stage.decoded },
  };
}
