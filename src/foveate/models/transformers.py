"""foveate inside Hugging Face transformers models.

Importing this file registers `foveate` and `foveate:<precision>` with transformers'
AttentionInterface and AttentionMaskInterface; any other name of `models.spec` is registered when a
model first asks for it:

    import foveate.models.transformers
    model.set_attn_implementation("foveate:window(1024,64)+int8")

`accelerate(model, ...)` does the same in one call and can be undone.

The one thing to know: what a model asks for is honoured or refused with a reason, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from .headwise_layer import attached
from .layers import each_layer, for_layers, of_layer
from .masks import RuleMask, make_mask
from .spec import PRECISIONS, PREFIX, Choice, parse

DECODE_QUERIES = 16  # steps with at most so many queries use Choice.decode
_REFUSED = {  # arguments of some models that change what attention computes
    "softcap": "soft capping of scores",
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "position_bias": "a position bias",
    "head_mask": "a mask of heads",
    "layer_head_mask": "a mask of heads",
    "indices": "selection by indices",
    "block_indices": "selection by block indices",
    "cache": "a paged cache",
}
_choices: dict[str, Choice] = {}


def register(name: str, choice: Choice | None = None) -> str:
    """Make a choice of selection and precision known to transformers.

    Args:
        name: A name of `models.spec`, or any name that begins with "foveate" if `choice` is given.
        choice: What the name stands for; None reads it from the name.

    Returns:
        The name, for `attn_implementation=` and `set_attn_implementation`.

    Raises:
        ValueError: The name cannot be read.
    """
    if name not in _choices or choice is not None:
        choice = choice if choice is not None else parse(name)
        AttentionMaskInterface.register(name, make_mask)
        AttentionInterface.register(name, _interface(choice))
        _choices[name] = choice
    return name


def accelerate(
    model: nn.Module,
    *,
    select: Any = None,
    profile: Any = None,
    precision: Any = "auto",
    decode: Any = "native",
    backend: str = "auto",
    compile: bool = False,
) -> Accelerated:
    """Let a model attend with foveate.

    Args:
        model: A transformers model whose attention goes through AttentionInterface.
        select: A selection or its name, as in `foveate.attention`; or a tuple with one for each
            layer, None for layers that visit everything. Dense by default.
        profile: Tuned selections instead: a `foveate.tune.Profile` or `MoAPlan`, the path of a file
            that `foveate tune` wrote, or the name of one that ships with foveate. Layers with a
            window of their own stay as they are.
        precision: A precision or its name; or a tuple with one for each layer, as
            `foveate.tune.bits` makes.
        decode: The precision of steps with at most 16 queries; "same" uses `precision`. "native" by
            default: a decoding step reads every key once, so writing all of them anew does not pay.
        backend: A backend's name or "auto".
        compile: Also compile the rest of the model with torch.compile (needs a C++ compiler).

    Returns:
        A handle with `undo()`; it can be used with `with`, which undoes on leaving.

    Raises:
        TypeError: The model is not a transformers model, or does not use AttentionInterface.
        ValueError: Both select and profile are given, or one does not belong to this model.
    """
    if not isinstance(model, PreTrainedModel):
        raise TypeError(
            f"model is {type(model).__name__}; expected a transformers PreTrainedModel. For "
            "other modules use "
            "`with foveate.models.sdpa(...)`, which serves scaled_dot_product_attention"
        )
    if not model._can_set_attn_implementation():
        raise TypeError(
            f"{type(model).__name__} does not take its attention from AttentionInterface, so "
            "foveate cannot "
            "enter it; `with foveate.models.sdpa(...)` may, if it calls "
            "scaled_dot_product_attention"
        )
    precision = each_layer(model, precision, "precision", "precisions")
    name = _name(Choice(for_layers(model, select, profile), precision, decode, backend))
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    handle = Accelerated(model, name, before)
    if compile:
        from .compiled import compile_rest

        handle._undo.append(compile_rest(model))
    model._foveate = handle
    return handle


def restore(model: nn.Module) -> None:
    """Undo `accelerate` on a model; does nothing if it is not accelerated."""
    handle = getattr(model, "_foveate", None)
    if handle is not None:
        handle.undo()


class Accelerated:
    """What `accelerate` returns: the model, the name it runs under, and the way back."""

    def __init__(self, model: PreTrainedModel, name: str, before: str) -> None:
        self.model, self.name, self.before = model, name, before
        self._undo: list[Callable[[], None]] = []

    def undo(self) -> None:
        """Give the model its former attention back; a second call does nothing."""
        while self._undo:
            self._undo.pop()()
        if getattr(self.model, "_foveate", None) is self:
            self.model.set_attn_implementation(self.before)
            del self.model._foveate

    def __enter__(self) -> Accelerated:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"Accelerated({type(self.model).__name__}, {self.name!r}, before={self.before!r})"


def _name(choice: Choice) -> str:
    """A registered name for a choice; equal choices share one."""
    for name, known in _choices.items():
        if known == choice:
            return name
    return register(f"{PREFIX}#{len(_choices)}", choice)


def _interface(choice: Choice) -> Callable[..., tuple[Tensor, None]]:
    """The attention function transformers calls in every layer."""
    decode = choice.precision if choice.decode == "same" else choice.decode

    def forward(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        sliding_window: int | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """query `[B, Hq, Lq, D]`, key and value `[B, Hk, Lk, D]`; out `[B, Lq, Hq, Dv]`."""
        from foveate import MoA, Window, attention

        _refuse(module, dropout, attention_mask, kwargs)
        short = query.shape[2] <= DECODE_QUERIES
        attend = partial(
            attention,
            precision=of_layer(decode if short else choice.precision, module),
            scale=scaling,
            backend=choice.backend,
        )
        select = of_layer(choice.select, module)
        if short and not isinstance(select, (Window, MoA)):
            # the others choose keys for blocks of queries, which a step does not have
            select = "dense"
        if (layer := attached(key)) is not None:  # keys from a HeadwiseCache, which attends itself
            out = layer.attend(query, key, value, attention_mask, select, attend)
            return out.transpose(1, 2), None
        causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
        window, mask = sliding_window, attention_mask
        if isinstance(mask, RuleMask):
            causal, window = mask.causal, mask.window
            if mask.filled < key.shape[2]:
                key, value = key[:, :, : mask.filled], value[:, :, : mask.filled]
            padding = mask.padding
            mask = None if padding is None else padding[:, None, None, : mask.filled]
        elif mask is not None:
            causal, window = False, None  # a written mask holds every rule
            if mask.shape[-1] > key.shape[2]:
                mask = mask[..., : key.shape[2]]
        select = _windowed(select, window, causal, key.shape[2], module)
        out = attend(query, key, value, select=select, causal=causal, mask=mask)
        return out.transpose(1, 2), None

    return forward


def _windowed(select: Any, window: Any, causal: bool, k_length: int, module: nn.Module) -> Any:
    """The selection of a layer with a window of its own: that, narrowed by a Window."""
    if window is None or (isinstance(window, int) and window >= k_length):
        return select
    if not causal or not isinstance(window, int) or window < 1:
        raise ValueError(
            f"sliding_window={window!r} of {type(module).__name__} without a causal mask is not "
            "supported; "
            'use attn_implementation="sdpa"'
        )
    from foveate import Window

    span = min(window, select.span) if isinstance(select, Window) else window
    return Window(span, 0)


def _refuse(module: nn.Module, dropout: float, mask: Tensor | None, kwargs: dict[str, Any]) -> None:
    """Stop before anything that the model asks for gets lost."""
    name, out = type(module).__name__, 'use attn_implementation="eager" for this model'
    if dropout > 0:
        raise ValueError(
            f"dropout={dropout} in {name} is not supported: inference only; call model.eval()"
        )
    if kwargs.get("output_attentions"):
        raise ValueError(
            f"output_attentions=True in {name}: attention weights are never formed; {out}"
        )
    for key, what in _REFUSED.items():
        if kwargs.get(key) is not None:
            raise ValueError(f"{key} ({what}) in {name} is not supported; {out}")
    lengths = kwargs.get("cu_seq_lens_q")
    if lengths is not None and mask is None and lengths.numel() > 2:
        raise ValueError(
            f"cu_seq_lens_q in {name} packs {lengths.numel() - 1} sequences without a mask; pass "
            "position_ids that restart, or call foveate.attention_varlen"
        )


def _accept_any_name() -> None:
    """Let models take any `foveate:` name, registered on first use.

    transformers accepts only names that are registered, and there are endlessly many of ours; this
    also turns its "not supported" for a misspelt one into a message that says what is wrong.
    """
    original = PreTrainedModel.get_correct_attn_implementation
    if getattr(original, "_foveate", False):
        return

    @wraps(original)
    def wrapper(
        self: PreTrainedModel, requested_attention: str | None, *args: Any, **kwargs: Any
    ) -> str:
        if requested_attention is not None and requested_attention.startswith(PREFIX):
            register(requested_attention)
        return original(self, requested_attention, *args, **kwargs)

    wrapper._foveate = True  # type: ignore[attr-defined]
    PreTrainedModel.get_correct_attn_implementation = wrapper


register(PREFIX)
for _precision in PRECISIONS:
    if _precision != "auto":
        register(f"{PREFIX}:{_precision}")
_accept_any_name()
