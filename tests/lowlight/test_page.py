"""The page for browsers: its network equals torch's, and a photograph goes through it."""

from __future__ import annotations

import json
import queue
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


class Results(ThreadingHTTPServer):
    """Takes what a page sends: it says itself when it is done, however long it decodes."""

    def __init__(self) -> None:
        self.found: queue.Queue[str] = queue.Queue()
        super().__init__(("127.0.0.1", 0), _Receiver)


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.found.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def browse(text: str, script: str, tmp_path) -> dict:
    """Open a page with one more script, and return what that returns."""
    path = tmp_path / "page.html"
    with Results() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        to = f"http://127.0.0.1:{server.server_port}"
        show = f'v => fetch("{to}", {{method: "POST", mode: "no-cors", body: JSON.stringify(v)}})'
        runner = (
            f"<script>const show = {show};\n"
            f"(async () => {{{script}}})().then(show, e => show({{error: String(e)}}))</script>"
        )
        path.write_text(text.replace("</body>", runner + "</body>"))
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        with subprocess.Popen(
            [CHROMIUM, *flags, profile, f"file://{path}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser:
            try:
                found = server.found.get(timeout=90)
            finally:
                browser.terminate()
                server.shutdown()
    result = json.loads(found)
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
