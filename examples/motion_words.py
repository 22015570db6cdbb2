"""From words to a plan, without a model: what was understood, and a change by a sentence.

python examples/motion_words.py "a person bows deeply, then waves with the left hand"
"""

import sys

from foveate.motion import design, edit

text = " ".join(sys.argv[1:]) or "an old man waves with the right hand, then sits down"
plan = design(text)
print(f"{text!r}: {len(plan.keys)} keys, {plan.duration:.1f} s")
for key in plan.keys:
    print(f"  {key.t:5.2f} s  {key.description}")
print("actions:", ", ".join(plan.coverage.senses))
print("ignored:", ", ".join(plan.coverage.unmatched) or "nothing")
for note in plan.notes:
    print("note:", note)

slower = edit(plan, "slower")
print(f"slower: {slower.duration:.1f} s")
