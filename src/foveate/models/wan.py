"""VSA in a Wan transformer of diffusers: `retrofit`, its handle, and gates in checkpoints.

Self-attention of each block gets a projection `to_gate_compress` of zeros and a processor that cuts
the video into cubes; cross-attention to text stays as it is. The grid is read from each input, so
one model serves videos of any size.

The one thing to know: nothing changes until `keep` is lowered or a gate is trained. `keep=1.0` and
gates of zeros are dense attention.
Source: Video Sparse Attention (arXiv 2505.13389), section 2.3 and appendix C.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..attn.api import attention
from ..attn.gates import gated_attention
from ..attn.precision import Precision
from ..attn.select import VSA
from ..attn.select.vsa import check_keep
from .annealing import Annealing
from .video import GATE, check_gates, gate_of, zero_gate


@dataclass
class Retrofit:
    """A model with VSA in it: how much is kept, and the way back.

    Attributes:
        model: The transformer.
        options: Fields of the `VSA` of every layer, without grid and keep.
        precision, backend: As in `foveate.attention`, of the fine stage.
        keep: Cubes kept, an int or a share; 1.0 is all. An int above the cubes of an input keeps
            all of them.
        grid: Tokens of the last input, (T, Y, X), None before the first.
    """

    model: nn.Module
    options: dict[str, Any]
    precision: str | Precision
    backend: str
    keep: int | float = 1.0
    grid: tuple[int, int, int] | None = None
    _layers: list[tuple[str, nn.Module, Any]] = field(default_factory=list, repr=False)
    _hook: Any = field(default=None, repr=False)

    @property
    def select(self) -> VSA:
        """What the layers run with, for the last input's grid."""
        if self.grid is None:
            raise ValueError(
                "the model has not seen an input yet, so its grid is not known; run it, or set grid"
            )
        return _select(self.grid, self.keep, tuple(sorted(self.options.items())))

    def anneal(self, schedule: Annealing, step: int, grid: tuple[int, ...] | None = None) -> int:
        """Set `keep` to what a schedule says for a step.

        Args:
            schedule: The schedule.
            step: Steps of training done so far, from 0.
            grid: Tokens of the next input; None takes those of the last.

        Returns:
            Cubes kept from now on.
        """
        if grid is not None:
            self.grid = tuple(grid)
        self.keep = schedule.kept(step, self.select.keys.number)
        return self.keep

    def gates(self) -> dict[str, Tensor]:
        """The gates' parameters by their names in the model; a checkpoint for `load_gates`."""
        return {
            f"{name}.{GATE}.{kind}": parameter.detach()
            for name, layer, _ in self._layers
            for kind, parameter in layer.get_submodule(GATE).named_parameters()
        }

    def remove(self) -> None:
        """Make the model what it was, without gates."""
        self._hook.remove()
        for _, layer, processor in self._layers:
            layer.processor = processor
            delattr(layer, GATE)
        self._layers.clear()

    def _see(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        """Read the grid from the latents `[B, C, F, H, W]` of a call."""
        latents = args[0] if args else kwargs["hidden_states"]
        patch = model.config.patch_size
        self.grid = tuple(n // p for n, p in zip(latents.shape[2:], patch, strict=True))


class SparseProcessor:
    """Self-attention of one block; diffusers calls it with the layer."""

    _attention_backend = None
    _parallel_config = None

    def __init__(self, owner: Retrofit) -> None:
        self.owner = owner

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend, `[B, L, dim]` to `[B, L, dim]`; `rotary_emb` is cos and sin, `[1, L, 1, D]`."""
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError(
                "a layer with VSA got encoder_hidden_states or attention_mask; expected "
                "self-attention over all tokens of a video (Retrofit.remove() gives the old layer)"
            )
        if self._parallel_config is not None:
            raise ValueError(
                "a layer with VSA got a parallel config; expected none, since cubes need the whole "
                "video"
            )
        x = hidden_states
        if getattr(attn, "fused_projections", False):
            q, k, v = attn.to_qkv(x).chunk(3, dim=-1)
        else:
            q, k, v = attn.to_q(x), attn.to_k(x), attn.to_v(x)
        q, k, v = (y.unflatten(2, (attn.heads, -1)) for y in (attn.norm_q(q), attn.norm_k(k), v))
        if rotary_emb is not None:
            q, k = (_turned(y, *rotary_emb) for y in (q, k))
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        out = self._attend(q, k, v, attn.get_submodule(GATE), x, attn.heads)
        out = attn.to_out[0](out.transpose(1, 2).flatten(2).type_as(x))
        return attn.to_out[1](out)

    def _attend(self, q, k, v, projection: nn.Linear, x: Tensor, heads: int) -> Tensor:
        owner = self.owner
        how = {"precision": owner.precision, "backend": owner.backend}
        if not torch.is_grad_enabled() and not any(p.any() for p in projection.parameters()):
            return attention(q, k, v, select=owner.select, **how)  # a gate of zeros adds nothing
        gate = gate_of(projection, x, heads)
        return gated_attention(q, k, v, select=owner.select, coarse=gate, **how)


def retrofit(
    model: nn.Module,
    *,
    keep: int | float = 1.0,
    gates: str = "channel",
    precision: str | Precision = "auto",
    backend: str = "auto",
    **options: Any,
) -> Retrofit:
    """Put VSA into the self-attention of a `WanTransformer3DModel` of diffusers, in place.

    Args:
        model: The transformer, on its device and in its dtype.
        keep: Cubes kept: an int, or a share. 1.0, all, leaves the model what it was; lower it in
            steps with `Retrofit.anneal`.
        gates: "channel" or "head": gates for each channel, or one for each head.
        precision: Of the fine stage, see `foveate.attention`; training needs one with a backward.
        backend: See `foveate.attention`.
        options: Other fields of `VSA`: cube, own, mass, sized, balanced, correct.

    Returns:
        The handle. Save with the model's own `save_pretrained`, which writes the gates, too; after
        `from_pretrained` and `retrofit`, `load_gates` brings them back.

    Raises:
        TypeError: The model is of another class, or an option is unknown.
        ValueError: It has VSA already, or an option is out of range.
    """
    blocks = getattr(model, "blocks", None)
    if type(model).__name__ != "WanTransformer3DModel" or blocks is None:
        raise TypeError(
            f"model is {type(model).__name__}; expected a WanTransformer3DModel of diffusers "
            "(build other models from VideoSparseAttention layers)"
        )
    check_gates(gates)
    check_keep("keep", keep)
    for name in ("grid", "kv_grid", "kv_cube"):
        if name in options:
            raise TypeError(f"{name} is given; expected none, the grid is read from each input")
    options = {name: tuple(x) if isinstance(x, list) else x for name, x in options.items()}
    VSA((4, 4, 4), keep=1.0, **options)  # refuses what it does not know, before anything changes
    handle = Retrofit(model, options, precision, backend, keep)
    for number, block in enumerate(blocks):
        layer = block.attn1
        if hasattr(layer, GATE):
            raise ValueError("model has VSA already; expected one without (Retrofit.remove())")
        weight = layer.to_out[0].weight
        dim = layer.inner_dim
        layer.add_module(
            GATE, zero_gate(weight.shape[0], dim if gates == "channel" else layer.heads, weight)
        )
        handle._layers.append((f"blocks.{number}.attn1", layer, layer.processor))
        layer.processor = SparseProcessor(handle)
    handle._hook = model.register_forward_pre_hook(handle._see, with_kwargs=True)
    return handle


def load_gates(
    handle: Retrofit, source: Mapping[str, Tensor] | str | Path, *, missing: str = "refuse"
) -> None:
    """Load gates into a retrofitted model.

    Args:
        handle: What `retrofit` returned.
        source: A state dict, a `.safetensors` file, or a folder with such files. Gates are found as
            `blocks.N.attn1.to_gate_compress.…` or `blocks.N.to_gate_compress.…`; all else in it is
            left alone.
        missing: "refuse", or "zero": gates that are not in it become zero, as in a dense model.

    Raises:
        ValueError: Gates are missing or have other shapes; nothing was loaded.
    """
    if missing not in ("refuse", "zero"):
        raise ValueError(f'missing is {missing!r}; expected "refuse" or "zero"')
    state = source if isinstance(source, Mapping) else _read(Path(source))
    wanted = handle.gates()
    found = {}
    for name, old in wanted.items():
        new = state.get(name, state.get(name.replace(".attn1.", ".")))
        if new is None:
            continue
        if new.shape != old.shape:
            raise ValueError(
                f"{name} has shape {list(new.shape)} in the checkpoint; expected {list(old.shape)} "
                '(see gates="channel" or "head" of retrofit)'
            )
        found[name] = new
    lost = [name for name in wanted if name not in found]
    if lost and missing == "refuse":
        raise ValueError(
            f"the checkpoint has {len(found)} of {len(wanted)} gate tensors, {lost[0]} is not in "
            'it; expected all, or missing="zero" to start from dense attention'
        )
    with torch.no_grad():
        for name in wanted:
            parameter = handle.model.get_parameter(name)
            if name in found:
                parameter.copy_(found[name])
            else:
                parameter.zero_()


def _read(path: Path) -> dict[str, Tensor]:
    """Gates of a file, or of all files of a folder."""
    try:
        from safetensors import safe_open
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'reading a checkpoint needs safetensors, which is not installed; pip install "foveate'
            '[models]"',
            name="safetensors",
        ) from None
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise ValueError(f"source is {path}; expected a .safetensors file or a folder with some")
    state = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            names = opened.keys()
            state |= {name: opened.get_tensor(name) for name in names if GATE in name}
    return state


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: pairs of neighbouring channels `[B, L, H, D]` turned by their angle."""
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return (x * cos + turned * sin).type_as(x)


@lru_cache(maxsize=64)
def _select(grid: tuple[int, ...], keep: int | float, options: tuple[tuple[str, Any], ...]) -> VSA:
    """The VSA of a grid; an int that is more than its cubes keeps them all."""
    made = VSA(grid, keep=1.0, **dict(options))
    kept = min(keep, made.keys.number) if isinstance(keep, int) else keep
    return VSA(grid, keep=kept, **dict(options))
