"""The trained network, for use: pictures, RAW files, exposure in ratio, stops or "auto".

    model = REENet.load()
    bright = model.enhance(picture, ev=5)

The one thing to know: the exposure is explicit. `ratio` and `ev` say the same, ratio = 2^ev; "auto"
raises the middle of the picture to mid-grey, by the light that the network estimates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import mosaic, weights
from .network import Config, Guided
from .tiles import tiled

SHIPPED = Path(__file__).parents[2] / "data" / "lowlight" / "reenet.safetensors"
GREY, MOST = 0.18, 300.0
THUMBNAIL = 512


class REENet:
    """A network after REENet with its weights.

    Args:
        network: U, E and P.
        about: What its file says about it.
    """

    def __init__(self, network: Guided, about: dict[str, Any] | None = None) -> None:
        self.network, self.about = network.eval().requires_grad_(False), about or {}

    @classmethod
    def load(cls, path: str | Path | None = None) -> REENet:
        """From a file of weights; None takes those that ship with foveate.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file holds something else.
            ModuleNotFoundError: safetensors is not installed.
        """
        path = Path(path) if path is not None else SHIPPED
        if not path.is_file():
            raise FileNotFoundError(f"no weights of REENet at {path}")
        tensors, about = weights.load(path)
        if "config" not in about:
            raise ValueError(f"{path} holds no network after REENet; expected one with a config")
        network = Guided(Config.from_parameters(about["config"]))
        network.load_state_dict({k: v.float() for k, v in tensors.items()})
        return cls(network, about)

    def save(self, path: str | Path) -> None:
        """Write the weights at half precision, with what describes them."""
        about = {**self.about, "config": self.network.config.parameters()}
        weights.save(path, weights.half(self.network.state_dict()), about)

    def to(self, device: Any) -> REENet:
        """Move the network."""
        self.network.to(device)
        return self

    def enhance(
        self,
        srgb: Tensor,
        ratio: float | None = None,
        ev: float | str | None = None,
        tile: int = 512,
    ) -> Tensor:
        """Expose a picture anew.

        Args:
            srgb: `[3, H, W]` or `[B, 3, H, W]` in [0, 1], any size.
            ratio: k, target over given exposure time, 1 to 300 as trained.
            ev: log2 of the ratio; None or "auto" without a ratio choose by brightness.
            tile: Edge of the tiles that a large picture is worked in.

        Returns:
            The shape that came, in [0, 1].

        Raises:
            ValueError: Both ratio and ev, a ratio that is not positive, or a wrong shape.
        """
        batch = _batch(srgb)
        k = self.ratio(batch, ratio, ev)
        level = self.level(batch)
        out = tiled(lambda part: self.network(part, k, level), batch, tile)
        return out.reshape(srgb.shape)

    def level(self, srgb: Tensor) -> Tensor:
        """Mean light of whole pictures `[B, 3, H, W]`: what tiles of them are computed with."""
        return self.network.unprocess.level(srgb)

    def ratio(
        self, srgb: Tensor, ratio: float | None = None, ev: float | str | None = None
    ) -> Tensor:
        """The ratio that a choice means for pictures `[B, 3, H, W]`, `[B]`."""
        if ratio is not None and ev is not None:
            raise ValueError(f"ratio is {ratio} and ev {ev}; give one of them, ratio = 2^ev")
        if isinstance(ev, str) and ev != "auto":
            raise ValueError(f'ev is "{ev}"; expected a number of stops or "auto"')
        if ratio is None and (ev is None or ev == "auto"):
            return self.auto_ratio(srgb)
        k = float(ratio) if ratio is not None else 2.0 ** float(ev)
        if not 0 < k < float("inf"):
            raise ValueError(f"ratio is {k}; expected a positive number")
        return torch.full((len(srgb),), k, device=srgb.device)

    def auto_ratio(self, srgb: Tensor) -> Tensor:
        """k that brings the geometric mean of light to mid-grey, `[B]`, 1 to 300.

        k = clip(0.18 / geometric mean of luma of U(I), 1, 300), over the central 90 % of a picture
        of at most 512 pixels.
        """
        share = THUMBNAIL / max(srgb.shape[-2:])
        small = F.interpolate(srgb, scale_factor=share, mode="area") if share < 1 else srgb
        height, width = (max(2, s // 2 * 2) for s in small.shape[-2:])
        small = F.interpolate(small, size=(height, width), mode="area")
        raw = self.network.unprocess(small, self.level(srgb))
        y, x = raw.shape[-2] // 20, raw.shape[-1] // 20
        raw = raw[..., y : raw.shape[-2] - y, x : raw.shape[-1] - x]
        rgb = torch.einsum("ij,bjhw->bihw", self.network.process.matrix, mosaic.bin_cells(raw))
        luma = (rgb * rgb.new_tensor([0.2126, 0.7152, 0.0722]).reshape(3, 1, 1)).sum(1)
        middle = luma.clamp_min(1e-5).log().mean((1, 2)).exp()
        return (GREY / middle).clamp(1, MOST)

    def enhance_raw(self, path: str | Path, ratio: float | None = None, ev: Any = None) -> Tensor:
        """Expose a RAW file anew, past U: P(E(k·R)).

        Args:
            path: A RAW file that `raw.read_raw` reads.
            ratio, ev: As in `enhance`.

        Returns:
            sRGB `[3, H, W]` in [0, 1], upright.
        """
        from ..raw import read_raw

        file = read_raw(path)
        raw = file.packed * file.camera.plane_gains()
        k = self.ratio(file.camera.render(file.packed, bits=None), ratio, ev)

        def work(mosaic_part: Tensor) -> Tensor:
            part = mosaic.pack(mosaic_part[:, 0])
            return self.network.from_raw(part, k).clamp(0, 1)

        spread = mosaic.unpack(raw).unsqueeze(1).expand(-1, 3, -1, -1)
        picture = tiled(work, spread)[0]
        return torch.rot90(picture, file.turns, (-2, -1))


def _batch(srgb: Tensor) -> Tensor:
    if srgb.dim() not in (3, 4) or srgb.shape[-3] != 3 or not srgb.is_floating_point():
        raise ValueError(
            f"srgb is {srgb.dtype} {[*srgb.shape]}; expected floats [3, H, W] or [B, 3, H, W] "
            "in [0, 1]"
        )
    return srgb if srgb.dim() == 4 else srgb[None]
