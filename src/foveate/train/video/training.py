"""A video model from a film: `Plan`, `train_video`, `load_video_model`.

The one thing to know: the folder is all there is. Its checkpoint holds the model, the codec that
was measured on the film, and the plan, so sampling needs nothing else and training goes on where it
stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...attn.select import VSA
from ...models.video import Annealing
from ..checkpoint import NAME, load_weights, read_facts
from ..log import Record
from ..loop import fit
from ..recipe import Recipe, Share
from .codec import PatchCodec
from .film import Film
from .flow import Noisy, flow_loss, held_out_loss, noisy, sample
from .model import VideoDiT, sparse

ATTENTIONS = ("vsa", "dense")


@dataclass(frozen=True)
class Plan:
    """What is trained: clips, codec, model, attention. Plain values, kept in the checkpoint.

    Args:
        attention: "vsa" or "dense".
        size: Pixels along each side of a clip.
        frames: Frames of a clip.
        patch: Frames and pixels of a token.
        channels: Numbers of a token.
        dim, heads, layers: Of the transformer.
        cube: Sides of VSA's cubes in tokens.
        keep: Cubes kept at the end: an int, or a share.
        anneal: Steps over which `keep` falls from all to its end; 0 is sparse from the start.
        batch: Clips in a step, over all processes.
        seed: Of weights, data and noise.

    Raises:
        ValueError: A field is out of range, or the fields do not fit together.
    """

    attention: str = "vsa"
    size: int = 64
    frames: int = 16
    patch: tuple[int, int] = (2, 8)
    channels: int = 32
    dim: int = 96
    heads: int = 3
    layers: int = 4
    cube: tuple[int, int, int] = (2, 2, 2)
    keep: int | float = 0.125
    anneal: int = 0
    batch: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.attention not in ATTENTIONS:
            raise ValueError(
                f'attention is "{self.attention}"; attentions are {", ".join(ATTENTIONS)}'
            )
        for name in ("size", "frames", "channels", "dim", "heads", "layers", "batch"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; expected an int of at least 1")
        if self.anneal < 0:
            raise ValueError(f"anneal is {self.anneal}; expected 0 or more steps")
        object.__setattr__(self, "patch", tuple(self.patch))
        object.__setattr__(self, "cube", tuple(self.cube))
        self.select  # noqa: B018 - refuses what does not fit together

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens of a clip along (T, Y, X)."""
        return PatchCodec(*self.patch, self.channels).grid(self.frames, self.size)

    @property
    def select(self) -> VSA:
        """The VSA of the model at the end of training."""
        return VSA(self.grid, self.cube, keep=self.keep)

    @property
    def schedule(self) -> Annealing | None:
        """How `keep` falls; None if it does not."""
        if not self.anneal or self.attention != "vsa":
            return None
        cubes, kept = self.select.keys.number, self.select.kept
        drops = min(10, self.anneal, max(1, cubes - kept))
        interval = max(1, self.anneal // (drops + 1))
        drop = max(1, -(-(cubes - kept) // drops))
        return Annealing(kept, drop=drop, interval=interval, hold=interval)


class VideoModel(nn.Module):
    """Codec and transformer in one, so that one checkpoint holds both.

    Args:
        plan: What to build.
        device: Where it is to run.
    """

    def __init__(self, plan: Plan, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self.plan = plan
        self.codec = PatchCodec(*plan.patch, plan.channels)
        maker = None
        if plan.attention == "vsa":
            maker = sparse(plan.dim, plan.heads, plan.select, device)
        self.dit = VideoDiT(plan.grid, plan.channels, plan.dim, plan.heads, plan.layers, maker)
        self.to(device)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Velocity of noisy tokens, see `VideoDiT`."""
        return self.dit(x, time)

    def make(
        self,
        count: int,
        seed: int = 0,
        steps: int = 30,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """New clips, uint8 `[count, T, S, S, 3]`.

        Args:
            count: How many.
            seed: Of the noise they begin as.
            steps: Steps of the sampler.
            progress: Called with steps done and all steps.
        """
        draw = torch.Generator().manual_seed(seed)
        tokens = self.plan.grid[0] * self.plan.grid[1] * self.plan.grid[2]
        noise = torch.randn(count, tokens, self.plan.channels, generator=draw)
        training = self.training
        self.eval()
        try:
            made = sample(self, noise.to(self.codec.mean.device), steps, progress)
        finally:
            self.train(training)
        return self.codec.decode(made, self.plan.grid)


def train_video(
    film: Film,
    plan: Plan,
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    held_out: int = 32,
    evaluate_every: int = 0,
    save_every: int = 100,
    progress: Callable[[int, int, Record | None], None] | None = None,
) -> tuple[VideoModel, list[Record]]:
    """Train a model on a film, or go on where the folder stopped.

    Args:
        film: Frames of `plan.size` pixels.
        plan: What is trained.
        recipe: Steps and rates; its seed is set to the plan's.
        folder: Takes checkpoint and log.
        device: Where to train.
        held_out: Clips of the held-out stretches in an evaluation.
        evaluate_every: Steps between evaluations; 0 is at the end only.
        save_every: Steps between checkpoints.
        progress: See `foveate.train.fit`.

    Returns:
        The model, and the records of its training; "held_out" is the loss on held-out clips.

    Raises:
        ValueError: The film has frames of another size or too few, or the folder holds another
            training.
    """
    if film.frames.shape[1] != plan.size:
        raise ValueError(
            f"the film has frames of {film.frames.shape[1]} pixels and the plan {plan.size}; "
            "expected the same"
        )
    torch.manual_seed(plan.seed)
    model = VideoModel(plan, device)
    starts = film.starts(plan.frames)
    model.codec.cpu().measure(film.batch(starts, plan.frames, plan.seed, 0, range(64)))
    model.to(device)
    batches = _batches(film, starts, plan, model.codec)
    quiet = film.starts(plan.frames, held_out=True)
    chosen = torch.linspace(0, len(quiet) - 1, held_out).round().long()
    clips = torch.stack([film.clip(int(quiet[i]), plan.frames) for i in chosen])
    schedule = plan.schedule

    def before(step: int) -> None:
        for layer in model.dit.sparse_layers():
            layer.keep = schedule.kept(step, layer.select.keys.number)

    def evaluate(_: nn.Module) -> dict[str, float]:
        tokens = model.codec.encode(clips.to(device))
        return {"held_out": held_out_loss(model, tokens, plan.seed)}

    records = fit(
        model,
        flow_loss,
        batches,
        Recipe(**{**asdict(recipe), "seed": plan.seed}),
        folder=folder,
        save_every=save_every,
        before=before if schedule else None,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        facts={"kind": "video", "film": film.name, "plan": _plain(plan)},
        progress=progress,
    )
    return model, records


def load_video_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu"):
    """The model of a folder of `train_video`, ready to sample.

    Raises:
        ValueError: The folder has no checkpoint, or one of something else.
    """
    path = Path(folder) / NAME
    if not path.exists():
        raise ValueError(f"{folder} has no {NAME}; expected a folder of foveate train video")
    facts = read_facts(path).get("facts", {})
    if facts.get("kind") != "video":
        raise ValueError(f"{path} is not of a video model; expected one of foveate train video")
    known = {field.name for field in fields(Plan)}
    plan = Plan(**{name: value for name, value in facts["plan"].items() if name in known})
    model = VideoModel(plan, device)
    load_weights(path, model)
    return model.eval()


def _batches(film: Film, starts: Tensor, plan: Plan, codec: PatchCodec):
    """What `fit` asks for batches: noisy tokens of clips, by number."""

    def batch(number: int, share: Share) -> Noisy:
        samples = share.of(plan.batch)
        clips = film.batch(starts, plan.frames, plan.seed, number, samples)
        tokens = codec.encode(clips.to(codec.mean.device))
        return noisy(tokens, plan.seed, number, samples)

    return batch


def _plain(plan: Plan) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(plan).items()}
