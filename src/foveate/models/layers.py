"""A selection for each layer of a model, from a tuple or from a tuned profile.

The one thing to know: None in such a tuple leaves the layer as it is: it visits everything that the
model itself lets it see.
"""

from __future__ import annotations

import os
from typing import Any


def for_layers(model: Any, select: Any, profile: Any) -> Any:
    """What a model's layers select with.

    Args:
        model: A transformers model.
        select: A selection or its name for all layers, or one for each; None is dense.
        profile: A `foveate.tune.Profile` or `MoAPlan`, its path, or the name of one that ships
            with foveate.

    Returns:
        A selection, or a tuple with one for each layer.

    Raises:
        ValueError: Both are given, or one does not belong to this model.
    """
    if profile is None:
        return "dense" if select is None else each_layer(model, select, "select", "selections")
    if select is not None:
        raise ValueError("both select and profile are given; a profile says what is selected")
    from ..tune.loading import load

    profile = load(profile) if isinstance(profile, str | os.PathLike) else profile
    profile.check(model)
    return profile.selections


def each_layer(model: Any, value: Any, name: str, kind: str) -> Any:
    """One value for all layers, or a tuple with one for each.

    Args:
        model: A transformers model.
        value: The value, or a list or tuple of them.
        name: What it is called in an error.
        kind: What it is made of, in an error.

    Raises:
        ValueError: There are more or fewer than layers.
    """
    if not isinstance(value, list | tuple):
        return value
    layers = model.config.get_text_config().num_hidden_layers
    if len(value) != layers:
        raise ValueError(
            f"{name} has {len(value)} {kind}; expected one, or one for each of the {layers} layers "
            f"of {type(model).__name__}"
        )
    return tuple(value)


def of_layer(select: Any, module: Any) -> Any:
    """The selection (or the precision) of one layer, if each has its own."""
    if not isinstance(select, tuple):
        return select
    number = getattr(module, "layer_idx", None)
    if number is None or number >= len(select):
        raise ValueError(
            f"{type(module).__name__} is layer {number}; expected one of the {len(select)} layers "
            "that choices were given for"
        )
    return "dense" if select[number] is None else select[number]
