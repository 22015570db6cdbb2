"""The camera: from linear RAW to sRGB, and back.

    packed RAW → demosaic → gains → colour matrix → response → 8 bits

The one thing to know: a `Camera` may stand for one camera or for a batch, one per image; its
tensors then begin with B. RAW is linear, black subtracted, white = 1, red at (0, 0).

Forward steps and the analytic inverse follow Brooks et al., "Unprocessing Images for Learned Raw
Denoising" (CVPR 2019), whose colour matrices and gains are used here too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from . import mosaic, response

# XYZ → camera, four cameras
XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
SRGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
RED_GAINS, BLUE_GAINS = (1.9, 2.4), (1.5, 1.9)
BRIGHTNESS = (0.8, 0.1)  # mean and deviation of the inverse brightness gain
CONTRASTS = (0.2, 0.8)  # ours: from a soft to a hard tone curve


def matrix_from_xyz(xyz_to_camera: Tensor) -> Tensor:
    """Camera → sRGB `[..., 3, 3]` from XYZ → camera `[..., 3, 3]`; neutral stays neutral."""
    srgb_to_camera = xyz_to_camera @ torch.tensor(SRGB_TO_XYZ, dtype=xyz_to_camera.dtype)
    srgb_to_camera = srgb_to_camera / srgb_to_camera.sum(-1, keepdim=True)
    return torch.linalg.inv(srgb_to_camera)


@dataclass(frozen=True, eq=False)
class Camera:
    """What turns RAW into sRGB, for one camera or one per image of a batch.

    Attributes:
        wb: Gains of R, G and B, `[3]` or `[B, 3]`; green is 1.
        ccm: Camera RGB → linear sRGB, `[3, 3]` or `[B, 3, 3]`; rows sum to 1.
        gain: Brightness, multiplied to all channels, `[]` or `[B]`.
        contrast: Strength of the tone curve (`response`), `[]` or `[B]`.
        base: "srgb" or "power".
    """

    wb: Tensor
    ccm: Tensor
    gain: Tensor
    contrast: Tensor
    base: str = "srgb"

    @classmethod
    def mean(cls, base: str = "srgb", contrast: float = 0.5) -> Camera:
        """The centre of all ranges that `draw` draws from."""
        xyz = torch.tensor(XYZ_TO_CAMERA).mean(0)
        wb = torch.tensor([sum(RED_GAINS) / 2, 1.0, sum(BLUE_GAINS) / 2])
        gain = torch.tensor(1 / BRIGHTNESS[0])
        return cls(wb, matrix_from_xyz(xyz), gain, torch.tensor(contrast), base)

    @classmethod
    def draw(
        cls,
        count: int,
        generator: torch.Generator | None = None,
        base: str = "srgb",
        contrasts: tuple[float, float] = CONTRASTS,
    ) -> Camera:
        """A batch of cameras: mixed colour matrices, daylight gains, tone curves.

        Args:
            count: How many, B.
            generator: Of the random numbers, on the CPU.
            base: See `Camera`.
            contrasts: Range of the tone curve's strength.
        """

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=generator)

        shares = torch.rand(count, 4, generator=generator) + 1e-8
        shares = shares / shares.sum(1, keepdim=True)
        xyz = torch.einsum("bk,kij->bij", shares, torch.tensor(XYZ_TO_CAMERA))
        wb = torch.stack([uniform(*RED_GAINS), torch.ones(count), uniform(*BLUE_GAINS)], 1)
        mean, deviation = BRIGHTNESS
        bright = mean + deviation * torch.randn(count, generator=generator).clamp(-2, 2)
        return cls(wb, matrix_from_xyz(xyz), 1 / bright, uniform(*contrasts), base)

    def to(self, device: Any) -> Camera:
        """The same camera with its tensors elsewhere."""
        return self._each(lambda value: value.to(device))

    def at(self, index: Any) -> Camera:
        """Some cameras of a batch."""
        return self._each(lambda value: value[index])

    def with_wb(self, wb: Tensor) -> Camera:
        """The same camera with other gains, `[3]` or `[B, 3]`."""
        return replace(self, wb=wb.expand_as(self.wb).to(self.wb))

    def parameters(self) -> dict[str, Any]:
        """All values as JSON can hold them."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_parameters(cls, values: dict[str, Any]) -> Camera:
        """The camera that gave `parameters`."""
        tensors = {k: torch.tensor(v) for k, v in values.items() if k != "base"}
        return cls(**tensors, base=values["base"])

    def gains(self) -> Tensor:
        """White balance times brightness, `[1 or B, 3, 1, 1]`."""
        return (self.wb * self.gain.unsqueeze(-1)).reshape(-1, 3, 1, 1)

    def plane_gains(self) -> Tensor:
        """The gains of packed planes R, Gr, Gb, B, `[1 or B, 4, 1, 1]`."""
        gains = self.gains()
        return torch.cat([gains[:, :2], gains[:, 1:]], 1)

    def encode(self, linear: Tensor) -> Tensor:
        """Linear sRGB `[B, 3, H, W]` to code values in [0, 1]."""
        return response.encode(linear, self.contrast.reshape(-1, 1, 1, 1), self.base)

    def decode(self, srgb: Tensor) -> Tensor:
        """Code values `[B, 3, H, W]` to linear sRGB."""
        return response.decode(srgb, self.contrast.reshape(-1, 1, 1, 1), self.base)

    def to_srgb(self, camera_rgb: Tensor) -> Tensor:
        """Camera RGB after gains to linear sRGB, `[B, 3, H, W]` both."""
        return _mix(self.ccm, camera_rgb)

    def develop(self, camera_rgb: Tensor) -> Tensor:
        """Camera RGB without gains `[B, 3, H, W]` to code values in [0, 1]."""
        return self.encode(self.to_srgb((camera_rgb * self.gains()).clamp(max=1)))

    def render(self, packed: Tensor, bits: int | None = 8) -> Tensor:
        """RAW to a picture.

        Args:
            packed: `[B, 4, h, w]`.
            bits: Depth of the file; None does not round.

        Returns:
            sRGB `[B, 3, 2h, 2w]` in [0, 1].
        """
        picture = self.develop(mosaic.demosaic(packed))
        return picture if bits is None else response.quantise(picture, bits)

    def unprocess_rgb(self, srgb: Tensor, safe: bool = False) -> Tensor:
        """A picture to camera RGB without gains, `[B, 3, H, W]` both.

        Args:
            srgb: Code values in [0, 1].
            safe: Let bright pixels keep their value, so that dividing by gains does not turn
                clipped white into a colour (Brooks et al.). Not invertible there.
        """
        camera_rgb = _mix(torch.linalg.inv(self.ccm), self.decode(srgb))
        shrink = 1 / self.gains()
        if not safe:
            return camera_rgb * shrink
        bright = (camera_rgb.mean(1, keepdim=True) - 0.9).clamp_min(0) / 0.1
        kept = bright.square()
        return camera_rgb * torch.maximum(kept + (1 - kept) * shrink, shrink)

    def unprocess(self, srgb: Tensor, safe: bool = False) -> Tensor:
        """A picture `[B, 3, H, W]` with even sizes to packed RAW `[B, 4, H/2, W/2]`."""
        return mosaic.sample(self.unprocess_rgb(srgb, safe))

    def _each(self, change: Any) -> Camera:
        names = ("wb", "ccm", "gain", "contrast")
        return replace(self, **{name: change(getattr(self, name)) for name in names})


def _mix(matrix: Tensor, rgb: Tensor) -> Tensor:
    return torch.einsum("...ij,...jhw->...ihw", matrix.to(rgb), rgb)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value
