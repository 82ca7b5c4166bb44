// The guided filter: values on coarse cells drawn along the edges of the picture, for display only.
// He, Sun and Tang, ECCV 2010, with a colour picture as the guide, as nlviz.heat.guided has it.

const EPSILON = 1e-3; // how little colours must vary, as a variance of 0 to 1, to count as even

/** The radius for cells of so many pixels: their larger side, at least 1. */
export const radiusOf = (across, down) => Math.max(1, Math.round(Math.max(across, down)));

/**
 * A picture as a guide: what the filter needs of it, worked out once for many values. In each
 * window q = a·I + b with a = (Σ + εU)⁻¹ cov(I, p) and b = p̄ − a·μ, Eqs. (19) to (21); each pixel
 * takes the mean of a and b over its windows, which end where the picture does.
 *
 * `rgba` are width × height pixels as a canvas gives them; filtered(values) takes as many numbers
 * and gives none beyond the least and the greatest of them.
 */
export function createGuide({ rgba, width, height }, radius, epsilon = EPSILON) {
  const count = width * height;
  const means = meansOf(width, height, radius);
  const image = new Float32Array(4 * count);
  for (let i = 0; i < 4 * count; i++) image[i] = rgba[i] / 255;
  const mean = means(image);
  const inverse = inverses(image, mean, means, epsilon);

  function filtered(values) {
    const products = new Float32Array(4 * count);
    let least = Infinity, most = -Infinity;
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      const p = values[i];
      if (p < least) least = p;
      if (p > most) most = p;
      products[at] = image[at] * p;
      products[at + 1] = image[at + 1] * p;
      products[at + 2] = image[at + 2] * p;
      products[at + 3] = p;
    }
    const lines = means(products); // becomes a, then b
    for (let i = 0, at = 0, in6 = 0; i < count; i++, at += 4, in6 += 6) {
      const p = lines[at + 3];
      const mr = mean[at], mg = mean[at + 1], mb = mean[at + 2];
      const r = lines[at] - mr * p, g = lines[at + 1] - mg * p, b = lines[at + 2] - mb * p;
      const rg = inverse[in6 + 1], rb = inverse[in6 + 2], gb = inverse[in6 + 4];
      const ar = inverse[in6] * r + rg * g + rb * b;
      const ag = rg * r + inverse[in6 + 3] * g + gb * b;
      const ab = rb * r + gb * g + inverse[in6 + 5] * b;
      lines[at] = ar;
      lines[at + 1] = ag;
      lines[at + 2] = ab;
      lines[at + 3] = p - ar * mr - ag * mg - ab * mb;
    }
    const mixed = means(lines);
    const drawn = new Float32Array(count);
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      const q = mixed[at] * image[at] + mixed[at + 1] * image[at + 1] +
        mixed[at + 2] * image[at + 2] + mixed[at + 3];
      drawn[i] = q < least ? least : q > most ? most : q;
    }
    return drawn;
  }

  return { width, height, filtered };
}

/** (Σ + εU)⁻¹ of each window, symmetric: rr, rg, rb, gg, gb, bb. */
function inverses(image, mean, means, epsilon) {
  const count = image.length / 4;
  const first = new Float32Array(4 * count), second = new Float32Array(4 * count);
  for (let at = 0; at < 4 * count; at += 4) {
    const r = image[at], g = image[at + 1], b = image[at + 2];
    first[at] = r * r;
    first[at + 1] = r * g;
    first[at + 2] = r * b;
    first[at + 3] = g * g;
    second[at] = g * b;
    second[at + 1] = b * b;
  }
  const [one, two] = [means(first), means(second)];
  const found = new Float32Array(6 * count);
  for (let at = 0, to = 0; at < 4 * count; at += 4, to += 6) {
    const r = mean[at], g = mean[at + 1], b = mean[at + 2];
    const rr = one[at] - r * r + epsilon, rg = one[at + 1] - r * g, rb = one[at + 2] - r * b;
    const gg = one[at + 3] - g * g + epsilon, gb = two[at] - g * b;
    const bb = two[at + 1] - b * b + epsilon;
    const c0 = gg * bb - gb * gb, c1 = rb * gb - rg * bb, c2 = rg * gb - rb * gg;
    const scale = 1 / (rr * c0 + rg * c1 + rb * c2);
    found[to] = c0 * scale;
    found[to + 1] = c1 * scale;
    found[to + 2] = c2 * scale;
    found[to + 3] = (rr * bb - rb * rb) * scale;
    found[to + 4] = (rg * rb - rr * gb) * scale;
    found[to + 5] = (rr * gg - rg * rg) * scale;
  }
  return found;
}

/**
 * The mean over each window of four numbers that lie pixel by pixel: sums along the rows, and down.
 */
function meansOf(width, height, radius) {
  const line = 4 * width;
  const across = shares(width, radius), down = shares(height, radius);
  const sums = new Float64Array(line);
  return (values) => {
    const rows = sumsAlongRows(values, width, height, radius);
    const means = new Float32Array(line * height);
    sums.fill(0);
    for (let at = 0, x = 0; at < Math.min(radius, height) * line; at++, x = at % line) {
      sums[x] += rows[at];
    }
    for (let y = 0, at = 0; y < height; y++) {
      if (y + radius < height) addTo(sums, rows, (y + radius) * line, 1);
      if (y > radius) addTo(sums, rows, (y - radius - 1) * line, -1);
      for (let x = 0, i = 0; x < width; x++, i += 4, at += 4) {
        const share = across[x] * down[y];
        means[at] = sums[i] * share;
        means[at + 1] = sums[i + 1] * share;
        means[at + 2] = sums[i + 2] * share;
        means[at + 3] = sums[i + 3] * share;
      }
    }
    return means;
  };
}

function addTo(sums, rows, start, sign) {
  for (let x = 0, at = start; x < sums.length; x++, at++) sums[x] += sign * rows[at];
}

/** The sum of what lies within the radius to the left and to the right. */
function sumsAlongRows(values, width, height, radius) {
  const rows = new Float32Array(4 * width * height);
  const [lead, behind] = [4 * radius, 4 * (radius + 1)];
  for (let y = 0; y < height; y++) {
    const start = 4 * y * width, end = start + 4 * width;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    const before = Math.min(start + lead, end);
    for (let at = start; at < before; at += 4) {
      s0 += values[at];
      s1 += values[at + 1];
      s2 += values[at + 2];
      s3 += values[at + 3];
    }
    for (let at = start; at < end; at += 4) {
      const next = at + lead, last = at - behind;
      if (next < end) {
        s0 += values[next];
        s1 += values[next + 1];
        s2 += values[next + 2];
        s3 += values[next + 3];
      }
      if (last >= start) {
        s0 -= values[last];
        s1 -= values[last + 1];
        s2 -= values[last + 2];
        s3 -= values[last + 3];
      }
      rows[at] = s0;
      rows[at + 1] = s1;
      rows[at + 2] = s2;
      rows[at + 3] = s3;
    }
  }
  return rows;
}

/** For each of `length` places one by how many lie within its radius. */
const shares = (length, radius) =>
  Float64Array.from(
    { length },
    (_, at) => 1 / (Math.min(at + radius, length - 1) - Math.max(at - radius, 0) + 1),
  );
