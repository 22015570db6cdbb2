"""`foveate enhance`: one command for a picture, a folder, a video; exit codes; the report."""

from __future__ import annotations

import json

import numpy as np
import pytest

for needed in ("av", "cv2", "PIL"):
    pytest.importorskip(needed)

from PIL import Image  # noqa: E402

from foveate import cli  # noqa: E402
from foveate.lowlight.jobs import plan  # noqa: E402


def put(path, value=20, size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, value, size[1])[None, :, None] * np.ones((size[0], 1, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(path)
    return path


def enhance(*arguments):
    return cli.main(["enhance", *map(str, arguments)])


def test_a_picture(tmp_path, capsys):
    source = put(tmp_path / "dark.png")
    assert enhance(source, tmp_path / "bright.jpg") == 0
    said = capsys.readouterr()
    assert "bright.jpg" in said.out
    assert "EV" in said.out
    with Image.open(tmp_path / "bright.jpg") as image:
        assert np.asarray(image).mean() > 60
    # a second time it is not replaced unless asked to
    assert enhance(source, tmp_path / "bright.jpg") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert enhance(source, tmp_path / "bright.jpg", "--overwrite") == 0


def test_without_a_target_the_result_lies_beside(tmp_path):
    assert enhance(put(tmp_path / "dark.png")) == 0
    assert (tmp_path / "dark-bright.png").exists()


def test_a_folder_with_a_broken_file(tmp_path, capsys):
    folder = tmp_path / "in"
    put(folder / "a.png")
    put(folder / "deep" / "b.jpg")
    put(folder / ".hidden" / "c.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("x")
    assert enhance(folder, tmp_path / "out", "--report") == 1
    said = capsys.readouterr()
    assert "2 enhanced, 1 failed, 1 other" in said.out
    assert said.err.count("\n") == 1
    assert "broken.jpg" in said.err
    made = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")
    )
    assert made == ["a.png", "deep/b.jpg", "report.html"]
    # started again, only what is missing is made
    (tmp_path / "out" / "a.png").unlink()
    stamp = (tmp_path / "out" / "deep" / "b.jpg").stat().st_mtime_ns
    assert enhance(folder, tmp_path / "out", "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert [f["source"].endswith("a.png") for f in record["files"]] == [True]
    assert record["skipped"] == 1
    assert (tmp_path / "out" / "deep" / "b.jpg").stat().st_mtime_ns == stamp


def test_output_inside_input_is_not_enhanced_again(tmp_path):
    put(tmp_path / "in" / "a.png")
    assert enhance(tmp_path / "in", tmp_path / "in" / "bright") == 0
    found = plan(tmp_path / "in", tmp_path / "in" / "bright")
    assert [job.source.name for job in found.jobs] == ["a.png"]


def test_raw_beside_jpeg_gets_its_own_name(tmp_path):
    for name in ("a.jpg", "a.dng", "b.nef"):
        (tmp_path / name).write_bytes(b"")
    names = {j.source.name: j.target.name for j in plan(tmp_path, tmp_path / "o").jobs}
    assert names == {"a.jpg": "a.jpg", "a.dng": "a-dng.jpg", "b.nef": "b.jpg"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name what to enhance"),
        (["{none}.jpg"], "does not exist"),
        (["{dark}", "{dark}"], "the source itself"),
        (["{dark}", "x.mp4"], "is a picture"),
        (["{dark}", "x.xyz"], "does not end in"),
        (["{text}"], "none of"),
        (["{empty}", "out"], "holds no picture"),
        (["{dark}", "x.png", "--strength", "9"], "strength is 9"),
        (["{dark}", "x.png", "--video-ema", "0"], "--video-ema"),
        (["{dark}", "x.png", "--quality", "0"], "--quality"),
        (["{dark}", "x.png", "--report", "r.txt"], ".html"),
        (["{broken}", "x.png"], "cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "dark.png")
    (tmp_path / "t.doc").write_text("x")
    (tmp_path / "broken.png").write_text("x")
    (tmp_path / "empty").mkdir()
    names = {
        "dark": "dark.png",
        "none": "no",
        "text": "t.doc",
        "empty": "empty",
        "broken": "broken.png",
    }
    assert enhance(*(a.format(**names) for a in arguments)) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "x.png").exists()


def test_a_video_and_its_report(tmp_path, capsys):
    from fractions import Fraction

    import av

    with av.open(str(tmp_path / "dark.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert enhance(tmp_path / "dark.mp4", tmp_path / "day.mp4", "--report", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["files"][0]["frames"] == 4
    assert "4 frames" in (tmp_path / "day.html").read_text()


def test_the_report_shows_both_and_needs_nothing_else(tmp_path):
    source = put(tmp_path / "a <b>.png")
    assert enhance(source, tmp_path / "o.png", "--report", tmp_path / "r.html") == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "a &lt;b&gt;.png" in page
    assert "a <b>" not in page
    for word in ("Push", "At white", "stops", "<polygon"):
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
