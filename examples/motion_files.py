"""From a sentence to files that other programs open, and back again.

Run it: python examples/motion_files.py
"""

import tempfile
from pathlib import Path

from foveate.motion import export, load, synthesize

clip = synthesize("a person raises the left arm", physics="none", fps=20)
print(f"{clip.duration:.1f} s, {len(clip)} frames of {clip.qpos.shape[1]} coordinates")

with tempfile.TemporaryDirectory() as folder:
    for name, options in {
        "motion.bvh": {"skeleton": "mixamo"},  # Blender, Unity, Unreal
        "motion.glb": {},  # any glTF viewer
        "motion.npz": {},  # Python; lossless
        "motion.npy": {},  # 263 HumanML3D features
        "keys.png": {},  # contact sheet
        "view.html": {},  # one page that plays it
    }.items():
        path = export(clip, Path(folder) / name, **options)
        print(f"{name:11} {path.stat().st_size / 1024:6.0f} KiB")
    back = load(Path(folder) / "motion.npz")
    print("comes back exactly:", bool((back.qpos == clip.qpos).all()))
