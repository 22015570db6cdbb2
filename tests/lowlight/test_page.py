"""The page for browsers: its network equals torch's, and a photograph goes through it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("safetensors")

import torch

from foveate import cli
from foveate.lowlight.page import page, write_page
from foveate.lowlight.sacc.curve import ConcaveCurve

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium: apt-get install chromium"
)

HEIGHT, WIDTH = 70, 1300  # the wide side is sampled, the other is not

PIXELS = f"""
const data = new Uint8ClampedArray({HEIGHT} * {WIDTH} * 4);
for (let y = 0; y < {HEIGHT}; y++) for (let x = 0; x < {WIDTH}; x++) {{
  const p = (y * {WIDTH} + x) * 4;
  data[p] = (x * 7 + y) % 61; data[p + 1] = (x + y * 3) % 47; data[p + 2] = (x * y) % 29;
  data[p + 3] = 255;
}}
"""


def pixels() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([(x * 7 + y) % 61, (x + y * 3) % 47, (x * y) % 29], -1).astype(np.uint8)


def curve(channels: str, degree: int = 2) -> ConcaveCurve:
    torch.manual_seed(3)
    model = ConcaveCurve(channels=channels, degree=degree, width=6)
    with torch.no_grad():
        for layer in model.children():
            layer.weight.mul_(8)
    return model.eval()


def browse(text: str, script: str, tmp_path) -> dict:
    """Open a page with one more script, and return what it puts into `result`."""
    path = tmp_path / "page.html"
    show = "value => document.getElementById('result').textContent = JSON.stringify(value)"
    runner = (
        f"<pre id=result></pre><script>const show = {show};\n"
        f"(async () => {{{script}}})().then(show, e => show({{error: String(e)}}))</script>"
    )
    path.write_text(text.replace("</body>", runner + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    for attempt in range(3):  # decoding runs beside the page, and its clock may run out before
        profile = tmp_path / f"profile{attempt}"
        done = subprocess.run(
            [CHROMIUM, *flags, f"--user-data-dir={profile}", "--dump-dom", f"file://{path}"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = re.search(r'<pre id="result">(.+?)</pre>', done.stdout, re.DOTALL)
        if found:
            break
    assert found, done.stderr[-2000:]
    result = json.loads(html.unescape(found.group(1)))
    assert "error" not in result, result
    return result


@needs_chromium
@pytest.mark.parametrize(("channels", "degree"), [("rgb", 2), ("shared", 2), ("rgb", 3)])
def test_the_browser_predicts_the_same_curve(tmp_path, channels, degree):
    model = curve(channels, degree)
    script = (
        PIXELS
        + f"""
const curves = predict(model, thumbnail(data, {WIDTH}, {HEIGHT}));
const used = curves.map(c => withStrength(c, 1));
apply(data, used, false);
return {{curves: curves.map(c => Array.from(c)), first: Array.from(data.slice(0, 4000))}};
"""
    )
    result = browse(page(model), script, tmp_path)
    image = torch.from_numpy(pixels()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = model.curve(image)[0].numpy()
    assert np.abs(np.array(result["curves"]) - expected).max() < 1e-5
    codes = pixels().reshape(-1, 3)[:1000]
    table = np.rint(np.broadcast_to(expected, (3, 256)) * 255)
    brighter = np.stack([table[c][codes[:, c]] for c in range(3)], -1)
    shown = np.array(result["first"]).reshape(-1, 4)[:, :3]
    assert np.abs(shown - brighter).max() <= 1


@needs_chromium
def test_a_photograph_goes_through_the_page(tmp_path):
    script = (
        PIXELS
        + f"""
const source = document.createElement("canvas");
Object.assign(source, {{width: {WIDTH}, height: {HEIGHT}}});
source.getContext("2d").putImageData(new ImageData(data, {WIDTH}), 0, 0);
const blob = await new Promise(done => source.toBlob(done, "image/png"));
await open(new File([blob], "night.png", {{type: "image/png"}}));
const after = $("after").getContext("2d").getImageData(0, 0, {WIDTH}, {HEIGHT}).data;
const sum = a => a.reduce((s, v, i) => i % 4 < 3 ? s + v : s, 0);
const full = sum(after);
$("strength").value = 0; $("strength").dispatchEvent(new Event("input"));
const none = sum($("after").getContext("2d").getImageData(0, 0, {WIDTH}, {HEIGHT}).data);
await open(new File(["no picture"], "notes.txt"));
return {{before: sum(data), full, none, name: $("name").textContent, size: $("size").textContent,
  push: $("push").textContent, hidden: $("work").hidden, problem: $("problem").textContent}};
"""
    )
    result = browse(page(curve("shared")), script, tmp_path)
    assert result["full"] > 1.5 * result["before"]
    assert result["none"] == result["before"]
    assert result["name"] == "night.png"
    assert result["size"] == f"{WIDTH} × {HEIGHT}"
    assert "stops" in result["push"]
    assert result["hidden"] is False
    assert "notes.txt is no picture" in result["problem"]


def test_the_page_needs_no_other_file(tmp_path, capsys):
    weights = tmp_path / "c.safetensors"
    curve("shared").save(weights)
    target = tmp_path / "deep" / "page.html"
    assert (
        cli.main(["enhance", "--page", str(target), "--weights", str(tmp_path / "c.safetensors")])
        == 0
    )
    text = target.read_text()
    assert "http" not in text
    assert "src=" not in text
    assert "/*" not in re.sub(r"image/\*", "", text)
    assert cli.main(["enhance", "--page", str(tmp_path / "x.txt")]) == 2
    assert cli.main(["enhance", "--page", str(tmp_path / "x.html"), "--weights", "nowhere"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


def test_a_curve_by_nearest_pixels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="area"):
        write_page(tmp_path / "a.html", _saved(tmp_path))


def _saved(tmp_path):
    path = tmp_path / "n.safetensors"
    ConcaveCurve(downsample="nearest", width=4).save(path)
    return str(path)
