"use strict";
// Files in, a canvas out.

const $ = id => document.getElementById(id);
const model = loadModel(JSON.parse($("model").textContent));
const MOST = 16e6;  // pixels that a canvas holds everywhere
let original = null, curves = null, title = "photograph";

async function open(file) {
  $("problem").textContent = "";
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch (error) {
    $("problem").textContent = `${file.name} is no picture that this browser can read.`;
    return;
  }
  const scale = Math.min(1, Math.sqrt(MOST / (picture.width * picture.height)));
  const width = Math.round(picture.width * scale), height = Math.round(picture.height * scale);
  for (const name of ["before", "after"]) Object.assign($(name), {width, height});
  const context = $("before").getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0, width, height);
  original = context.getImageData(0, 0, width, height);
  title = file.name.replace(/\.[^.]*$/, "");
  $("name").textContent = file.name;
  $("size").textContent = `${width} × ${height}` + (scale < 1 ? " (reduced)" : "");
  $("slider").style.aspectRatio = `${width}/${height}`;
  $("slider").style.maxWidth = `calc(75vh*${width / height})`;
  $("work").hidden = false;
  $("drop").classList.add("small");
  const begin = performance.now();
  curves = predict(model, thumbnail(original.data, width, height));
  draw(performance.now() - begin);
}

function draw(predicting = 0) {
  if (!original) return;
  const begin = performance.now();
  const used = curves.map(curve => withStrength(curve, Number($("strength").value)));
  const pixels = new Uint8ClampedArray(original.data);
  apply(pixels, used, $("hue").checked);
  $("after").getContext("2d").putImageData(new ImageData(pixels, original.width), 0, 0);
  $("time").textContent = `${Math.round(performance.now() - begin + predicting)} ms`;
  $("amount").textContent = Number($("strength").value).toFixed(2).replace(/\.?0+$/, "");
  describe(used, pixels);
}

function describe(used, pixels) {
  const facts = data => {
    let sum = 0, white = 0, n = 0;
    for (let p = 0; p < data.length; p += 4 * 7, n++) {
      sum += data[p] + data[p + 1] + data[p + 2];
      white += Math.max(data[p], data[p + 1], data[p + 2]) === 255;
    }
    return [100 * sum / (765 * n), 100 * white / n];
  };
  const [a, b] = [facts(original.data), facts(pixels)];
  const level = used.reduce((sum, curve) => sum + curve[16], 0) / used.length;
  $("push").textContent = `${(2.2 * Math.log2(level * 255 / 16)).toFixed(1)} stops in the dark parts`;
  $("mean").textContent = `${a[0].toFixed(0)} % → ${b[0].toFixed(0)} %`;
  $("clipped").textContent = `${a[1].toFixed(1)} % → ${b[1].toFixed(1)} %`;
  const colours = used.length === 1 ? ["var(--mark)"] : ["#d33", "#2a2", "#36c"];
  $("plot").innerHTML = '<path d="M0 256L256 0" class="grid"/>' + used.map((curve, c) =>
    `<polyline class="curve" style="stroke:${colours[c]}" points="${Array.from(curve, (g, k) => `${k},${(256 - 256 * g).toFixed(1)}`).join(" ")}"/>`
  ).join("") + '<text class="tick" x="0" y="270">dark</text><text class="tick" x="256" y="270" text-anchor="end">bright</text>';
}

function save() {
  $("after").toBlob(blob => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${title}-bright.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
  }, "image/jpeg", 0.95);
}

$("file").addEventListener("change", event => event.target.files[0] && open(event.target.files[0]));
$("divide").addEventListener("input", event => $("slider").style.setProperty("--at", event.target.value + "%"));
$("strength").addEventListener("input", () => draw());
$("hue").addEventListener("change", () => draw());
$("save").addEventListener("click", save);
for (const kind of ["dragover", "drop"])
  document.addEventListener(kind, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
