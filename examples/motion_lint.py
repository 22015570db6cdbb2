"""The motion linter on a clip with seeded faults, and its repair.

Run it: python examples/motion_lint.py
"""

import numpy as np

from foveate.motion import MotionClip, Pose, lint, repair
from foveate.motion.check import measure

# standing, while the whole body slides 8 cm forward and sinks 3 cm into the floor
qpos = np.repeat(Pose.neutral().to_qpos()[None], 60, axis=0)
qpos[:, 0] += np.linspace(0, 0.08, 60)
qpos[:, 2] -= 0.03
clip = MotionClip(fps=30, qpos=qpos)

for finding in lint(clip):
    print(f"{finding.severity:5} {finding.code:6} {finding.where:14} {finding.message}")

mended = repair(clip)
print("repaired:", "; ".join(mended.report.notes))
print(f"slide {measure(clip).slide_cm:.1f} → {measure(mended).slide_cm:.1f} cm")
print("left over:", [f.message for f in lint(mended)])
