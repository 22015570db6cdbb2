"""A tiny video model with video sparse attention: trained, stopped, taken up again, sampled."""

import tempfile
from pathlib import Path

from foveate.train import Recipe
from foveate.train.video import (
    Plan,
    load_video_model,
    model_flops,
    moving_shapes,
    train_video,
)

film = moving_shapes(480, size=32)  # open_film("film.mp4", size=32) for a film of yours
plan = Plan(size=32, frames=8, dim=32, heads=2, layers=2, keep=0.25)

with tempfile.TemporaryDirectory() as folder:
    train_video(film, plan, Recipe(steps=10, lr=2e-3, decay="constant"), folder)
    # the same folder with more steps goes on from step 10
    model, records = train_video(film, plan, Recipe(steps=60, lr=2e-3, decay="constant"), folder)
    losses = [r["loss"] for r in records if "loss" in r]
    print(f"{len(losses)} steps, loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last")
    print("files:", *sorted(path.name for path in Path(folder).iterdir()))
    again = load_video_model(folder)
    clips = again.make(2, steps=4)  # write_video("clips.mp4", side_by_side(clips))
    print("clips:", tuple(clips.shape), clips.dtype)
    dense = Plan(**{**vars(plan), "attention": "dense"})
    ratio = model_flops(type(model)(dense).dit).training / model_flops(model.dit).training
    print(f"dense attention takes {ratio:.2f} times the operations of a step")
