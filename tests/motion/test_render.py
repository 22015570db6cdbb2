"""Pictures: geometry of rays and cameras, and what is seen where."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("PIL")

from PIL import Image

from foveate.motion import Pose, Scene, export
from foveate.motion.body import JOINT
from foveate.motion.render import (
    VIEWS,
    Camera,
    clip_frames,
    contact_sheet,
    frame_picture,
    framing,
    png,
    pose_picture,
    renderer,
    side_by_side,
    turntable,
)
from foveate.motion.render import rays as meet
from foveate.motion.render.figure import LEFT, RIGHT, figure
from foveate.motion.render.painter import Painter
from foveate.motion.render.solids import Solid, box, cone, ellipsoid
from tests.motion.samples import still, wave

AHEAD = meet.Rays(np.array([0, 0.1, 5]), np.zeros(1))


def test_ball_is_hit_where_it_is():
    t, normals = meet.sphere(AHEAD, np.array([0, 0, 3.0], np.float32), 1.0)
    assert t[0] == pytest.approx(2)
    assert np.isinf(t[2])
    assert normals(np.array([0]))[0] == pytest.approx([0, 0, -1])


@pytest.mark.parametrize("radii", [(0.3, 0.3), (0.4, 0.2), (0.1, 0.35), (0.5, 0.01)])
def test_round_cone_is_the_hull_of_its_balls(radii):
    """Every hit is at the smallest depth at which the ray enters any ball on the axis."""
    a, b = np.array([-0.4, 0.1, 3.0], np.float32), np.array([0.5, -0.2, 3.6], np.float32)
    rays = meet.Rays(np.linspace(-0.3, 0.3, 20), np.linspace(-0.31, 0.29, 20))
    t, normals = meet.round_cone(rays, a, b, *radii)
    best = np.full(400, np.inf)
    for s in np.linspace(0, 1, 400):
        centre = (a + s * (b - a)).astype(np.float32)
        radius = radii[0] + s * (radii[1] - radii[0])
        best = np.minimum(best, meet.sphere(rays, centre, radius)[0])
    hit = np.isfinite(best)
    assert hit.sum() > 20
    assert (np.isfinite(t) != hit).mean() < 0.02, "the outline agrees up to the sampling"
    both = hit & np.isfinite(t)
    assert np.abs(t[both] - best[both]).max() < 0.01
    at = np.flatnonzero(both)
    unit = normals(at)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-4)
    assert ((unit * rays.at(at)).sum(1) < 0.02).all(), "normals look at the eye"


def test_box_cylinder_ellipsoid_triangle():
    z = np.array([0, 0, 4.0], np.float32)
    eye = np.eye(3)
    assert meet.box(AHEAD, z, eye, np.array([1, 1, 0.5]))[0][0] == pytest.approx(3.5)
    assert meet.cylinder(AHEAD, z, eye, 1.0, 0.5)[0][0] == pytest.approx(3.5)
    assert meet.ellipsoid(AHEAD, z, eye, np.array([1, 1, 0.5]))[0][0] == pytest.approx(3.5)
    corners = np.array([[-1, -1, 2], [1, -1, 2], [0, 2, 2.0]])
    t, normals = meet.triangle(AHEAD, corners)
    assert t[:2] == pytest.approx([2, 2])
    assert np.isinf(t[2])
    assert normals(np.array([0]))[0] == pytest.approx([0, 0, -1])


def test_camera_names_are_true():
    """From the front, the character's left hand is on the right of the picture."""
    places = still().joints[0]
    for view, sign in (("front", 1), ("back", -1)):
        pixel, depth = Camera().looking(view).project(places, 400, 400)
        assert (depth > 1).all()
        assert sign * (pixel[JOINT["L_wrist"], 0] - pixel[JOINT["R_wrist"], 0]) > 20
    pixel, _ = Camera().looking("side").project(places, 400, 400)
    assert pixel[JOINT["R_foot"], 0] > pixel[JOINT["R_ankle"], 0], "it faces right"
    head, foot = pixel[JOINT["head"], 1], pixel[JOINT["R_foot"], 1]
    assert head < foot, "up is up"
    with pytest.raises(ValueError, match='view is "above"; expected one of'):
        Camera().looking("above")


@pytest.mark.parametrize("azimuth", [0, 77, 150, 300])
def test_framing_sees_everything_and_not_much_more(azimuth):
    points = np.random.default_rng(1).uniform(-1, 1, (30, 3)) * [2, 1, 0.9]
    pixel, depth = framing(points, 640, 480, azimuth=azimuth).project(points, 640, 480)
    assert (depth > 0).all()
    assert (pixel >= 0).all()
    assert (pixel <= [640, 480]).all()
    assert max(np.ptp(pixel[:, 0]) / 640, np.ptp(pixel[:, 1]) / 480) > 0.5


def share(picture, colour):
    """Share of pixels whose hue is that of a colour."""
    p = picture.astype(float) / np.maximum(picture.max(2, keepdims=True), 1)
    c = np.array(colour) / max(colour)
    return float((np.abs(p - c).max(2) < 0.16).mean())


def test_sides_have_their_colours():
    pose = Pose.neutral()
    front = pose_picture(pose, views=["front"], size=200, marks=False)
    left, right = front[:, 100:], front[:, :100]
    assert share(left, LEFT) > 5 * share(left, RIGHT)
    assert share(right, RIGHT) > 5 * share(right, LEFT)


def test_nearer_hides_farther():
    camera = Camera(target=(0, 0, 1), azimuth=180, elevation=0, distance=3)
    red = ellipsoid(np.array([0, 0, 1.0]), np.eye(3), np.full(3, 0.3), (1, 0, 0))
    wall = box(np.array([0.6, 0, 1.0]), np.eye(3), np.array([0.05, 1, 1]), (0, 1, 0))
    draw = Painter(64, 64)
    assert draw.draw([red], camera)[32, 32].argmax() == 0
    assert draw.draw([red], camera, scene=[wall])[32, 32].argmax() == 1
    assert draw.draw([red, wall], camera)[32, 32].argmax() == 1
    behind = box(np.array([-0.6, 0, 1.0]), np.eye(3), np.array([0.05, 1, 1]), (0, 1, 0))
    assert draw.draw([red], camera, scene=[behind])[32, 32].argmax() == 0


def test_what_is_behind_the_eye_is_not_drawn():
    camera = Camera(target=(0, 0, 1), azimuth=180, elevation=0, distance=3)
    far = cone(np.array([9, 0, 1.0]), np.array([9, 1, 1.0]), 0.3, 0.2, (1, 0, 0))
    draw = Painter(64, 48)
    assert np.array_equal(draw.draw([far], camera), draw.draw([], camera))


def test_the_same_picture_every_time():
    clip = wave(scene="chair")
    one = frame_picture(clip, 20, 160, 120, marks=True)
    assert np.array_equal(one, frame_picture(clip, 20, 160, 120, marks=True))
    many = list(clip_frames(clip.with_(qpos=clip.qpos[:9], contacts={}, keys=()), 96, 72))
    alone = list(
        clip_frames(clip.with_(qpos=clip.qpos[:9], contacts={}, keys=()), 96, 72, threads=1)
    )
    assert len(many) == len(alone) == 9
    assert all(np.array_equal(a, b) for a, b in zip(many, alone, strict=True)), "in order"


def test_scenes_are_seen():
    clip = still()
    bare = frame_picture(clip, 0, 160, 120)
    for name in ("chair", "table", "stones", "slope", "uneven", "stairs"):
        shown = frame_picture(clip.with_(scene=Scene.named(name)), 0, 160, 120)
        assert (np.abs(shown.astype(int) - bare).max(2) > 20).mean() > 0.01, name


def test_feedback_picture_has_tiles_ghost_and_close_up():
    pose = Pose.neutral()
    other = pose.with_dofs({"R_shoulder.abd": 150})
    plain = pose_picture(pose, size=128)
    assert plain.shape == (128, 384, 3)
    ghost = pose_picture(pose, size=128, ghost=other)
    assert (plain != ghost).any()
    close = pose_picture(pose, views=["front"], size=128, focus="R_hand")
    whole = pose_picture(pose, views=["front"], size=128)
    assert (close != whole).mean() > 0.3
    for view in [*VIEWS, "top"]:
        assert pose_picture(pose, views=[view], size=64).std() > 5
    with pytest.raises(ValueError, match="unknown site"):
        pose_picture(pose, size=64, focus="tail")


def test_the_front_is_the_characters_front():
    """Turned by 90°, a pose looks the same from its front."""
    from foveate.motion import rotations as rot

    pose = Pose.neutral()
    turned = Pose(pose.root_pos, rot.yaw_quat(np.pi / 2), pose.joint_quat)
    a = pose_picture(pose, views=["front"], size=96, marks=False)
    b = pose_picture(turned, views=["front"], size=96, marks=False)
    for colour in (LEFT, RIGHT):
        for half in (slice(0, 48), slice(48, 96)):
            assert share(a[:, half], colour) == pytest.approx(share(b[:, half], colour), abs=0.01)


def test_contact_sheet_and_png():
    clip = wave()
    sheet = contact_sheet(clip, tile=(80, 90))
    assert sheet.shape[1] == 4 * 88 + 8, "three keys, and a frame between the distant two"
    back = np.asarray(Image.open(io.BytesIO(png(sheet))))
    assert np.array_equal(back, sheet)
    many = contact_sheet([(Pose.neutral(), str(i)) for i in range(30)], tile=(40, 50), most=5)
    assert many.shape[1] == 5 * 48 + 8
    with pytest.raises(ValueError, match="at least one pose"):
        contact_sheet([])


def test_side_by_side_and_turntable():
    short = still(0.1)
    frames = list(side_by_side(short, still(0.2), width=48, height=48))
    assert len(frames) == 7
    assert frames[0].shape == (48, 96, 3)
    around = list(turntable(Pose.neutral(), frames=3, width=48, height=48))
    assert len(around) == 3
    assert (around[0] != around[1]).any()


def test_video_files(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    whole = wave()
    clip = whole.with_(qpos=whole.qpos[:20], contacts={}, keys=())
    path = export(clip, tmp_path / "a.mp4", width=96, height=64)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert frames == len(clip)
    assert seconds == pytest.approx(len(clip) / 30, abs=0.1)
    again = export(clip, tmp_path / "b.mp4", width=96, height=64)
    assert path.read_bytes() == again.read_bytes(), "the same clip, the same bytes"
    gif = Image.open(export(clip, tmp_path / "a.gif", width=80, height=60))
    assert gif.n_frames == 10
    assert gif.size == (80, 60)
    with pytest.raises(ValueError, match="even"):
        export(clip, tmp_path / "c.mp4", width=97)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.mp4", "b.mp4"]


def test_interrupted_video_leaves_nothing(tmp_path):
    pytest.importorskip("imageio_ffmpeg")

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(wave(), tmp_path / "a.mp4", width=64, height=64, step=stop)
    assert list(tmp_path.iterdir()) == []


def test_strip_is_svg(tmp_path):
    from xml.etree import ElementTree

    root = ElementTree.parse(export(wave(), tmp_path / "a.svg", count=4)).getroot()
    assert len([e for e in root if e.tag.endswith("line")]) == 4 * 21


def test_renderers_agree():
    """OpenGL, where there is one, shows the body where the painter shows it."""
    try:
        draw = renderer(160, 120, "gl")
    except RuntimeError as error:
        draw, why = None, str(error)
    if draw is None:
        assert "the painter needs none" in why
        pytest.skip(why)
    clip = wave()
    camera = Camera()
    solids = figure(clip.joints[20], clip.rotations[20], clip.body)
    with draw, Painter(160, 120) as painter:
        pictures = [r.draw(solids, camera) for r in (draw, painter)]
    for colour in (LEFT, RIGHT):
        shares = [share(p, colour) for p in pictures]
        assert shares[0] == pytest.approx(shares[1], rel=0.5)
    with pytest.raises(ValueError, match='renderer is "magic"'):
        renderer(64, 64, "magic")


def test_solids_know_their_reach():
    for solid in (
        cone(np.zeros(3), np.ones(3), 0.2, 0.1, (1, 1, 1)),
        box(np.zeros(3), np.eye(3), np.ones(3), (1, 1, 1)),
        Solid("mesh", np.zeros(3), np.eye(3), np.ones(3), (1, 1, 1), corners=np.eye(3)[None]),
    ):
        centres, radii = solid.reach()
        assert len(centres) == len(radii)
