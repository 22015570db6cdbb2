"""The weights that did best in an evaluation, kept while a training goes on."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from .log import Record


def best_record(records: Iterable[Record], keep: str) -> Record | None:
    """The first record whose value is lowest.

    Args:
        records: As `fit` returns them.
        keep: Name of the value; with a leading "-" the highest counts.
    """
    name, sign = keep.removeprefix("-"), -1 if keep.startswith("-") else 1
    having = [r for r in records if name in r]
    return min(having, key=lambda r: sign * r[name]) if having else None


class Best:
    """What `fit` remembers of the best evaluation.

    Attributes:
        record: What was measured; None before the first evaluation.
        state: Parameters and buffers as they were then, on the CPU.
    """

    def __init__(self, keep: str | None) -> None:
        self.keep = keep
        self.record: Record | None = None
        self.state: dict[str, Tensor] = {}

    def see(self, model: nn.Module, record: Record) -> None:
        """Remember the model if it is better than all before.

        Raises:
            ValueError: The evaluation did not measure what is to be kept.
        """
        if self.keep is None:
            return
        if self.keep.removeprefix("-") not in record:
            raise ValueError(
                f'keep is "{self.keep}", which was not measured; found are {", ".join(record)}'
            )
        known = [] if self.record is None else [self.record]
        if best_record([*known, record], self.keep) is record:
            self.record = dict(record)
            self.state = {k: x.detach().cpu().clone() for k, x in model.state_dict().items()}

    def give(self, model: nn.Module) -> None:
        """Put the best weights into the model, if there are any."""
        if self.state:
            model.load_state_dict(self.state)
