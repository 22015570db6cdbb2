"""Frames as tokens and back, with a fixed linear map: `PatchCodec`.

A patch of `frames × side × side` pixels becomes one token of `channels` numbers: its first
principal components, measured once on the film. It takes the place of a video autoencoder, at no
training cost, and what it loses is known.

The one thing to know: components are scaled by std^−½, halfway between pixels (the mean colour is
nearly all) and white numbers (noise counts as much as shape), then by one number, so that all
tokens together have variance 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchCodec(nn.Module):
    """Clips `[B, T, S, S, 3]` uint8 ↔ tokens `[B, T/frames · S/side · S/side, channels]`.

    Args:
        frames: Frames in a patch.
        side: Pixels along each side of a patch.
        channels: Numbers kept for each patch.
    """

    def __init__(self, frames: int = 2, side: int = 8, channels: int = 32) -> None:
        super().__init__()
        pixels = frames * side * side * 3
        if not 1 <= channels <= pixels:
            raise ValueError(f"channels is {channels}; expected 1 to {pixels}, the patch's numbers")
        self.frames, self.side, self.channels = frames, side, channels
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("basis", torch.eye(pixels)[:, :channels].contiguous())
        self.register_buffer("scale", torch.ones(channels))

    def grid(self, length: int, size: int) -> tuple[int, int, int]:
        """Tokens along each axis of a clip.

        Raises:
            ValueError: Patches do not divide it.
        """
        if length % self.frames or size % self.side:
            raise ValueError(
                f"clips of {length} frames of {size} pixels are not made of patches of "
                f"{self.frames} × {self.side} × {self.side}; expected multiples"
            )
        return length // self.frames, size // self.side, size // self.side

    @torch.no_grad()
    def measure(self, clips: Tensor) -> float:
        """Set the components to those of some clips.

        Args:
            clips: uint8 `[B, T, S, S, 3]`, at least as many patches as a patch has numbers.

        Returns:
            The share of the pixels' variance that is kept.
        """
        patches = self._patches(clips).flatten(0, 1).double()
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh((patches - mean).T.cov())
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        kept = values[: self.channels].clamp_min(1e-12)
        # the sign of an eigenvector means nothing; fix it, so that equal films give equal tokens
        sign = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        scale = kept.sqrt().rsqrt()
        scale = scale / (kept * scale.square()).mean().sqrt()
        self.mean.copy_(mean)
        self.basis.copy_((vectors * sign)[:, : self.channels])
        self.scale.copy_(scale)
        return float(kept.sum() / values.sum().clamp_min(1e-12))

    def encode(self, clips: Tensor) -> Tensor:
        """Tokens of clips, float32, row-major over (T, Y, X)."""
        return ((self._patches(clips) - self.mean) @ self.basis) * self.scale

    def decode(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Clips of tokens, uint8."""
        pixels = (tokens.float() / self.scale) @ self.basis.T + self.mean
        (t, y, x), f, s = grid, self.frames, self.side
        clips = pixels.view(-1, t, y, x, f, s, s, 3).permute(0, 1, 4, 2, 5, 3, 6, 7)
        clips = clips.reshape(-1, t * f, y * s, x * s, 3)
        return ((clips + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)

    def _patches(self, clips: Tensor) -> Tensor:
        """Patches as rows of numbers in [−½, ½], `[B, tokens, pixels]`."""
        length, size = clips.shape[1:3]
        (t, y, x), f, s = self.grid(length, size), self.frames, self.side
        patches = clips.view(-1, t, f, y, s, x, s, 3).permute(0, 1, 3, 5, 2, 4, 6, 7)
        return patches.reshape(len(clips), t * y * x, f * s * s * 3).float() / 255 - 0.5
