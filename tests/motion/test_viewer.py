"""The viewer page: complete, safe, offline; and alive in a real browser where there is one."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess

import pytest

pytest.importorskip("mujoco")

from foveate.motion.viewer import page, write_page
from tests.motion.samples import drift, wave


@pytest.fixture(scope="module")
def html():
    return page(wave(scene="chair"))


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))


def test_one_page_that_needs_nothing_else(html):
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert "fetch(" not in html.split('id="data"')[0]
    assert "three.js, MIT licence" in html
    assert "SPDX-License-Identifier: MIT" in html


def test_text_cannot_break_out(html):
    assert "<b>&</b>" not in html
    assert "a person waves &lt;b&gt;&amp;&lt;/b&gt; smiles" in html
    nasty = wave().with_(text="</script><script>alert(1)</script>%DATA%")
    assert "<script>alert" not in page(nasty)


def test_data_is_complete(html):
    clip = wave(scene="chair")
    data = data_of(html)
    assert data["frames"] == len(clip) == len(data["com"]) == len(data["support"])
    assert [k["name"] for k in data["keys"]] == ["k0", "up", "end"]
    assert {lane["name"] for lane in data["lanes"]} == {"left foot", "right foot"}
    assert base64.b64decode(data["clips"][0]["glb"])[:4] == b"glTF"
    assert all(len(ring) >= 3 for ring in data["support"])
    assert abs(data["com"][0][1]) < 1e-6, "the mark lies on the floor: Y is up"


def test_findings_and_both_clips():
    clip = drift()
    data = data_of(page(clip.with_(source="simulated"), planned=wave()))
    assert [c["name"] for c in data["clips"]] == ["simulated", "planned"]
    assert any(f["code"] == "SLIDE" and f["frames"] for f in data["findings"])


BROWSER = next(
    (b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None
)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_plays_in_a_browser(tmp_path):
    """The page loads its motion, finds its bones and draws something, without an error."""
    path = write_page(wave(scene="chair"), tmp_path / "a.html")
    flags = [
        "--headless=new", "--no-sandbox", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--window-size=640,480", "--virtual-time-budget=4000",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
    ]  # fmt: skip
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", f"file://{path}#t=0.5"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert 'data-ready="yes"' in done.stdout
    assert 'data-bones="1"' in done.stdout
    assert re.search(r"0\.50 / \d\.\d\d s", done.stdout), "the clock stands at half a second"
    assert "Uncaught" not in done.stderr
