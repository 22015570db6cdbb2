"""How the engine enters a model.

`accelerate` and `restore` for transformers models, `HeadwiseCache` for those with a plan of spans,
`sdpa` for everything that calls torch's `scaled_dot_product_attention`. Importing this package
needs torch only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .headwise_cache import HeadwiseCache
    from .torch_sdpa import sdpa
    from .transformers import Accelerated, accelerate, register, restore

__all__ = ["Accelerated", "HeadwiseCache", "accelerate", "register", "restore", "sdpa"]


def __getattr__(name: str) -> Any:
    if name == "sdpa":
        from .torch_sdpa import sdpa

        return sdpa
    if name in __all__:
        try:
            from . import transformers
        except ModuleNotFoundError as error:
            if error.name != "transformers":
                raise
            raise ModuleNotFoundError(
                f"foveate.models.{name} needs transformers, which is not installed; "
                'pip install "foveate[models]"',
                name="transformers",
            ) from None
        if name == "HeadwiseCache":
            from .headwise_cache import HeadwiseCache

            return HeadwiseCache
        return getattr(transformers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
