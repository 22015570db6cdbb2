"""T5, the learned tracker: a control VAE with a world model, as in the paper, at CPU size.

The one thing to know: it is here for comparison with T1 and is promised for a handful of clips
only. `train` writes a checkpoint, `track_learned` performs a clip with it, and `compare` puts it
beside plain servos and T1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..body import JOINT
from ..clip import MotionClip, Report
from .checkpoint import load, read
from .nets import Config, Policy
from .play import HEAD_LIMIT, Episode, Track
from .state import State, Tree
from .training import Learner, train

__all__ = ["Config", "Learner", "compare", "track_learned", "train"]


def track_learned(clip: MotionClip, checkpoint: str | Path | None) -> MotionClip:
    """Let a simulated body perform a clip with a trained policy.

    Args:
        clip: What to perform.
        checkpoint: Of `train`; None follows the reference with plain servos instead.

    Returns:
        A clip at the control rate (20 frames per second), as long as it stayed up.

    Raises:
        ValueError: The checkpoint is not one, or of another version.
    """
    config, policy = Config(), None
    if checkpoint is not None:
        held = read(checkpoint)
        config = Config(**held["config"])
        policy = Policy(config)
        load(policy, held["policy"], checkpoint)
        policy.eval()
    track, tree = Track(clip, config), Tree(clip.body)
    episode, rows, going = Episode(track, 0, config), [track.qpos[0]], True
    while going and len(rows) < track.length:
        target = track.postures[episode.at + 1]
        if policy is not None:
            with torch.no_grad():
                bodies = tree(State.of(episode.data.qpos, episode.data.qvel))
                goal = track.bodies[episode.at + 1]
                target = target + policy(bodies, goal, episode.ground())[0]
        going = episode.step(target)
        if not np.isfinite(episode.data.qpos).all():
            break
        rows.append(episode.data.qpos.copy())
    made = MotionClip(
        1 / config.dt, np.array(rows), clip.shape, text=clip.text, scene=clip.scene,
        source="simulated", report=Report(tracker="T5", seed=clip.report.seed),
    )  # fmt: skip
    wanted = clip.resampled(1 / config.dt).joints[: len(rows)]
    error = np.linalg.norm(made.joints[: len(wanted)] - wanted, axis=-1).mean(1) * 100
    made.report.tracking_error_cm = round(float(error.mean()), 3)
    made.report.end_error_cm = round(float(error[-1]), 3)
    made.report.fell = bool(len(rows) < track.length or episode.fallen)
    made.report.physical = not made.report.fell
    return made


def compare(clips: dict[str, MotionClip], checkpoint: str | Path) -> list[dict[str, object]]:
    """T5 beside plain servos and T1 on clips by name.

    Returns:
        For each clip and tracker: the mean distance of the joints in cm while it stood, whether it
        fell, seconds that it stood (its head within 30 cm of where it should be), and the length.
    """
    from ..tracking import track

    rows: list[dict[str, object]] = []
    for name, clip in clips.items():
        for tracker, made in (
            ("servos", track_learned(clip, None)),
            ("T5", track_learned(clip, checkpoint)),
            ("T1", track(clip, "T1")),
        ):
            wanted = clip.resampled(made.fps).joints
            count = min(len(wanted), len(made))
            away = np.linalg.norm(made.joints[:count] - wanted[:count], axis=-1)
            far = away[:, JOINT["head"]] > HEAD_LIMIT
            stood = int(np.argmax(far)) if far.any() else count
            rows.append(
                {
                    "clip": name,
                    "tracker": tracker,
                    "error_cm": round(float(away[:stood].mean()) * 100, 3),
                    "fell": made.report.fell,
                    "stood_s": round(min(stood / made.fps, clip.duration), 2),
                    "of_s": round(clip.duration, 2),
                }
            )
    return rows
