"""Tokens of a film for the study, small enough to carry: whole numbers, packed with LZMA.

    python -m benchmarks.vsa_data FILM.mp4 --out tokens.xz

The one thing to know: the study reads this file wherever it runs, so runs on different machines
see the same numbers. Tokens are those of `PatchCodec` (2 frames × 8 × 8 pixels, 24 components of
the film at 12 frames a second and 128 × 128 pixels), rounded to STEP.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.train.recipe import Share, generator
from foveate.train.video.codec import PatchCodec
from foveate.train.video.film import Film, open_film
from foveate.train.video.flow import Noisy, noisy

STEP = 0.15
"""Of the rounding; a token's numbers have a variance of 1 on average."""
SIZE, FPS, CHANNELS = 128, 12.0, 24


class Tokens:
    """Tokens of a film as frames of a grid, and clips of them.

    Args:
        frames: int8 `[N, Y, X, channels]`, tokens over STEP; one for every two frames of the film.
        cuts: Numbers of frames here that begin a shot.
        device: Where batches are made.
    """

    def __init__(self, frames: Tensor, cuts: list[int], device: str | torch.device) -> None:
        self.frames = frames.to(device)
        self.shots = Film(frames, cuts, "tokens")

    def clips(self, starts: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Clips from given frames on, the middle of each frame, float32 `[B, L, channels]`."""
        t, y, x = grid
        top, left = (self.frames.shape[1] - y) // 2, (self.frames.shape[2] - x) // 2
        rows = starts[:, None] + torch.arange(t)
        found = self.frames[rows.to(self.frames.device)][:, :, top : top + y, left : left + x]
        return found.flatten(1, 3).float() * STEP

    def batches(self, grid: tuple[int, int, int], size: int, seed: int):
        """What `foveate.train.fit` asks for batches."""
        starts = self.shots.starts(grid[0])

        def batch(number: int, share: Share) -> Noisy:
            samples = share.of(size)
            draws = [
                int(torch.randint(len(starts), (), generator=generator(seed, number, i)))
                for i in samples
            ]
            return noisy(self.clips(starts[draws], grid), seed, number, samples)

        return batch

    def held_out(self, grid: tuple[int, int, int], count: int) -> Tensor:
        """The same clips every time, from stretches that are not trained on."""
        starts = self.shots.starts(grid[0], held_out=True)
        chosen = torch.linspace(0, len(starts) - 1, count).round().long()
        return self.clips(starts[chosen], grid)


def pack(film: Film, path: Path) -> dict[str, float]:
    """Write the tokens of a film; returns what was kept and lost."""
    codec = PatchCodec(2, 8, CHANNELS)
    starts = film.starts(16)
    kept = codec.measure(film.batch(starts, 16, 0, 0, range(64)))
    pairs = len(film) // 2
    parts = [
        codec.encode(film.frames[2 * i : 2 * min(i + 32, pairs)].unsqueeze(0))[0]
        for i in range(0, pairs, 32)
    ]
    side = SIZE // 8
    tokens = torch.cat(parts).view(pairs, side, side, CHANNELS)
    codes = (tokens / STEP).round().clamp(-127, 127).to(torch.int8)
    facts = {
        # a token of two shots is a shot of its own
        "cuts": sorted({n for c in film.cuts for n in (c // 2, -(-c // 2))} - {0, pairs}),
        "shape": list(codes.shape),
        "kept": kept,
    }
    head = json.dumps(facts).encode() + b"\n"
    body = codes.permute(3, 0, 1, 2).contiguous().numpy().tobytes()  # channels apart pack better
    work = path.with_name(path.name + ".tmp")
    work.write_bytes(lzma.compress(head + body, preset=6))
    os.replace(work, path)
    return facts


def unpack(path: Path, device: str | torch.device = "cpu") -> Tokens:
    """Tokens that `pack` wrote."""
    with lzma.open(io.BytesIO(path.read_bytes())) as file:
        facts = json.loads(file.readline())
        body = np.frombuffer(file.read(), dtype=np.int8)
    n, y, x, c = facts["shape"]
    frames = torch.from_numpy(body.reshape(c, n, y, x).copy()).permute(1, 2, 3, 0).contiguous()
    return Tokens(frames, facts["cuts"], device)


def main() -> None:
    """Pack a film."""
    parser = argparse.ArgumentParser(description="Pack a film's tokens for the study.")
    parser.add_argument("film", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    facts = pack(open_film(args.film, size=SIZE, fps=FPS), args.out)
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB, {facts['kept']:.1%} of variance")


if __name__ == "__main__":
    main()
