// One row of tiles of a picture of the Mandelbrot set; see 24-render-farm.mjs.
const steps = 1000;

/** The brightness of each pixel, 0 to 255, row by row. */
export function renderRows({ width, height, from, to }) {
  const pixels = new Uint8Array(width * (to - from));
  for (let y = from; y < to; y++) {
    for (let x = 0; x < width; x++) {
      const n = escapeTime((3 * x) / width - 2.1, (2.4 * y) / height - 1.2);
      pixels[(y - from) * width + x] = 255 * (n / steps) ** 0.25;
    }
  }
  return pixels;
}

function escapeTime(re, im) {
  let [a, b] = [0, 0];
  for (let n = 0; n < steps; n++) {
    [a, b] = [a * a - b * b + re, 2 * a * b + im];
    if (a * a + b * b > 4) return n;
  }
  return steps;
}
