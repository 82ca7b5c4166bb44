// Colours: pins that colour-blind people can tell apart, and heat maps that are even to the eye.

/** Okabe and Ito's colours, in the order in which pins take them. */
export const PIN_COLOURS = [
  "#E69F00",
  "#56B4E9",
  "#009E73",
  "#F0E442",
  "#0072B2",
  "#D55E00",
  "#CC79A7",
  "#FFFFFF",
];

/**
 * Colour maps for weights from 0 up; each is darkest at 0, and even in lightness. u runs from 0 to
 * 1.
 */
const SEQUENTIAL = {
  dusk: (u) => toRgb([0.2 + 0.76 * u, 0.08 + 0.13 * Math.sin(Math.PI * u ** 0.8), 290 + 170 * u]),
  viridis: between([
    "440154",
    "472d7b",
    "3b528b",
    "2c728e",
    "21918c",
    "28ae80",
    "5ec962",
    "addc30",
    "fde725",
  ]),
  cividis: between([
    "00224e",
    "123570",
    "3b496c",
    "575d6d",
    "707173",
    "8a8678",
    "a59c74",
    "c3b369",
    "e1cc55",
    "fee838",
  ]),
  grey: (u) => toRgb([0.15 + 0.83 * u, 0, 0]),
};

/** The names of the colour maps, as a person reads them. */
export const COLOUR_MAPS = {
  dusk: "Dusk",
  viridis: "Viridis",
  cividis: "Cividis",
  grey: "Grey, for print",
};

/** Signed weights: blue below zero, orange above, dark at zero. u runs from -1 to 1. */
const diverging = (u) =>
  toRgb([0.2 + 0.6 * Math.abs(u), 0.01 + 0.13 * Math.abs(u), u < 0 ? 245 : 62]);

const VEIL = 0.4; // how much of the opacity a weight of zero gets, so that the rest stands out

/**
 * 256 packed RGBA pixels of a heat map; the alpha rises with the weight's size from a dark veil.
 */
export function heatPixels(name, signed, opacity) {
  const pixels = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const u = signed ? (i - 127.5) / 127.5 : i / 255;
    const alpha = 255 * opacity * (VEIL + (1 - VEIL) * Math.abs(u) ** 0.7);
    pixels.set([...colourAt(name, signed, u), alpha], i * 4);
  }
  return new Uint32Array(pixels.buffer);
}

/** The same map as a CSS gradient, for the colour bar. */
export function heatGradient(name, signed) {
  const stops = Array.from({ length: 17 }, (_, i) => {
    const colour = colourAt(name, signed, signed ? i / 8 - 1 : i / 16);
    return `rgb(${colour.map(Math.round).join(" ")})`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

const colourAt = (name, signed, u) =>
  (signed ? diverging : (SEQUENTIAL[name] ?? SEQUENTIAL.dusk))(u);

/** Straight lines between colours at even distances. */
function between(colours) {
  const rgb = colours.map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return (u) => {
    const at = Math.min(Math.floor(u * (rgb.length - 1)), rgb.length - 2);
    const rest = u * (rgb.length - 1) - at;
    return rgb[at].map((low, i) => low + rest * (rgb[at + 1][i] - low));
  };
}

/** OKLCH (lightness 0 to 1, chroma, hue in degrees) to sRGB 0 to 255, after Ottosson (2020). */
function toRgb([lightness, chroma, hue]) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map(encode);
}

function encode(linear) {
  const value = Math.min(Math.max(linear, 0), 1);
  return 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);
}
