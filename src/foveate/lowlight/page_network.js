"use strict";
// The curve network in plain JavaScript, operation by operation as in torch.

const LEVELS = 256, SIDE = 16, SAMPLES = 512, DEAD = 1e-6;

function loadModel(facts) {
  const bytes = Uint8Array.from(atob(facts.weights), c => c.charCodeAt(0));
  const all = new Float32Array(bytes.buffer);
  const w = facts.width;
  const shapes = [[3, w, 9], [w, w, 9], [w, w, 9], [2 * w, w, 9], [2 * w, w, 9], [w, 2 * w, 9],
    [2 * w, 4 * w, 9], [4 * w, facts.curves * (LEVELS - 1), 1]];
  let at = 0;
  const layers = shapes.map(([from, to, taps]) => {
    const weight = all.subarray(at, at += from * to * taps), bias = all.subarray(at, at += to);
    return {from, to, weight, bias};
  });
  if (at !== all.length) throw new Error("the weights have another size than the network");
  return {layers, curves: facts.curves, degree: facts.degree};
}

// planes [from][n·n] to [to][m·m]; 3 x 3, padding 1
function conv({from, to, weight, bias}, input, n, stride, relu) {
  const m = Math.ceil(n / stride), out = new Float32Array(to * m * m);
  for (let o = 0; o < to; o++)
    for (let y = 0; y < m; y++)
      for (let x = 0; x < m; x++) {
        let sum = bias[o];
        for (let i = 0; i < from; i++)
          for (let dy = 0; dy < 3; dy++) {
            const row = y * stride + dy - 1;
            if (row < 0 || row >= n) continue;
            for (let dx = 0; dx < 3; dx++) {
              const column = x * stride + dx - 1;
              if (column >= 0 && column < n)
                sum += weight[((o * from + i) * 3 + dy) * 3 + dx] * input[(i * n + row) * n + column];
            }
          }
        out[(o * m + y) * m + x] = relu && sum < 0 ? 0 : sum;
      }
  return out;
}

function joined(a, b) {
  const both = new Float32Array(a.length + b.length);
  both.set(a); both.set(b, a.length);
  return both;
}

// thumbnail [3][16·16] to curves [curves][256] from 0 to 1
function predict({layers, curves, degree}, small) {
  const [e1, e2, e3, e4, e5, d1, d2, head] = layers;
  const x1 = conv(e1, small, 16, 1, true), x2 = conv(e2, x1, 16, 1, true);
  const x3 = conv(e3, x2, 16, 1, true), x4 = conv(e4, joined(x2, x3), 16, 1, true);
  const x5 = conv(e5, joined(x1, x4), 16, 1, true);
  const deep = conv(d2, conv(d1, x5, 16, 2, false), 8, 2, false);
  const pooled = Array.from({length: head.from}, (_, c) =>
    deep.subarray(c * 16, c * 16 + 16).reduce((a, b) => a + b, 0) / 16);
  const result = [];
  for (let c = 0; c < curves; c++) {
    let bends = new Float64Array(LEVELS - 1);
    for (let j = 0; j < LEVELS - 1; j++) {
      const o = j * curves + c;  // level by level, the channels of one level side by side
      let sum = head.bias[o];
      for (let i = 0; i < head.from; i++) sum += head.weight[o * head.from + i] * pooled[i];
      bends[j] = Math.max(0, sum);
    }
    for (let d = 1; d < degree; d++)
      for (let j = LEVELS - 3; j >= 0; j--) bends[j] += bends[j + 1];
    const curve = new Float64Array(LEVELS);
    for (let k = 1; k < LEVELS; k++) curve[k] = curve[k - 1] + bends[k - 1];
    const last = curve[LEVELS - 1];
    for (let k = 0; k < LEVELS; k++) curve[k] = last >= DEAD ? curve[k] / last : k / (LEVELS - 1);
    result.push(curve);
  }
  return result;
}

// RGBA bytes to [3][16·16]: averages of cells, of a big picture over every n-th row and column
function thumbnail(pixels, width, height) {
  const sx = Math.max(1, Math.floor(width / SAMPLES)), sy = Math.max(1, Math.floor(height / SAMPLES));
  const w = Math.ceil(width / sx), h = Math.ceil(height / sy), out = new Float32Array(3 * SIDE * SIDE);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const top = Math.floor(y * h / SIDE), bottom = Math.ceil((y + 1) * h / SIDE);
      const left = Math.floor(x * w / SIDE), right = Math.ceil((x + 1) * w / SIDE);
      let r = 0, g = 0, b = 0;
      for (let v = top; v < bottom; v++)
        for (let u = left; u < right; u++) {
          const p = (v * sy * width + u * sx) * 4;
          r += pixels[p]; g += pixels[p + 1]; b += pixels[p + 2];
        }
      const n = (bottom - top) * (right - left) * 255;
      [r, g, b].forEach((sum, c) => { out[(c * SIDE + y) * SIDE + x] = sum / n; });
    }
  return out;
}

// below 1 mixed with the identity, above 1 applied twice
function withStrength(curve, s) {
  const at = v => { const t = v * 255, i = Math.min(254, Math.floor(t)); return curve[i] + (t - i) * (curve[i + 1] - curve[i]); };
  return Float64Array.from(curve, (g, k) => s <= 1 ? (1 - s) * k / 255 + s * g : (2 - s) * g + (s - 1) * at(g));
}

// RGBA bytes, in place
function apply(pixels, curves, hue) {
  const tables = [0, 1, 2].map(c => {
    const curve = curves[Math.min(c, curves.length - 1)];
    return Uint8Array.from(curve, g => Math.round(g * 255));
  });
  if (!hue) {
    for (let p = 0; p < pixels.length; p += 4)
      for (let c = 0; c < 3; c++) pixels[p + c] = tables[c][pixels[p + c]];
    return;
  }
  const mean = Float64Array.from({length: LEVELS}, (_, k) =>
    curves.reduce((sum, curve) => sum + curve[k], 0) / curves.length * 255);
  for (let p = 0; p < pixels.length; p += 4) {
    const luma = 0.299 * pixels[p] + 0.587 * pixels[p + 1] + 0.114 * pixels[p + 2];
    const i = Math.min(254, Math.floor(luma)), y = mean[i] + (luma - i) * (mean[i + 1] - mean[i]);
    const gain = luma > 0.03 ? y / luma : 0;
    let rgb = [pixels[p] * gain, pixels[p + 1] * gain, pixels[p + 2] * gain];
    const most = Math.max(...rgb);
    if (most > 255) {  // mixed with grey until it fits: clipping would change the hue
      const share = Math.max(0, (255 - y) / (most - y));
      rgb = rgb.map(v => y + share * (v - y));
    }
    for (let c = 0; c < 3; c++) pixels[p + c] = Math.round(rgb[c]);
  }
}
