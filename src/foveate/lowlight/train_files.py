"""What a training leaves on disk, how it is taken up again, and how it is stopped.

The one thing to know: `checkpoint.safetensors` holds everything (weights, moments, step, log), so
the other files of the folder may be lost without harm.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from . import weights


@dataclass
class Training:
    """What came out of a training.

    Attributes:
        steps: Steps done, those of earlier calls included.
        log: One entry per logged step: step, loss and its parts (means since the last entry), lr,
            and what `check` returned.
        seconds: Time spent in this call.
        best: The entry whose checked value was best; None without `keep`.
    """

    steps: int
    log: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    best: dict[str, float] | None = None


class Stop:
    """Ctrl-C and SIGTERM, taken down and obeyed after the step; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Stop:
        self.old: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():  # others get no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self.old[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)


class TrainingFiles:
    """What a training leaves in its folder; does nothing without one."""

    def __init__(self, folder: str | Path | None, told: dict[str, Any]) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.told = json.loads(json.dumps(told))  # as it comes back from a file
        self.best: dict[str, Tensor] | None = None

    def resume(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Training:
        """The state so far, put into model and optimiser; a fresh one without a checkpoint."""
        if self.folder is None:
            return Training(0)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            _write_json(self.folder / "run.json", self.told)
            (self.folder / "log.jsonl").write_text("")
            return Training(0)
        tensors, about = weights.load(path)
        if about["settings"] != self.told:
            raise ValueError(_difference(self.folder, about["settings"], self.told))
        model.load_state_dict(_under(tensors, "model."))
        if best := _under(tensors, "best."):
            self.best = best
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "moment.").items():
            number, key = name.split(".", 1)
            moments.setdefault(int(number), {})[key] = value
        held = optimiser.state_dict()
        held["state"] = moments
        optimiser.load_state_dict(held)
        _rewrite(self.folder / "log.jsonl", about["log"])  # entries after the checkpoint go
        return Training(about["step"], about["log"], best=about["best"])

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer, state: Training) -> None:
        if self.folder is None:
            return
        moments = {
            f"moment.{number}.{key}": value
            for number, slots in optimiser.state_dict()["state"].items()
            for key, value in slots.items()
        }
        tensors = {f"model.{k}": v for k, v in model.state_dict().items()} | moments
        tensors |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        about = {
            "settings": self.told,
            "step": state.steps,
            "log": state.log,
            "best": state.best,
        }
        weights.save(self.folder / "checkpoint.safetensors", tensors, about)

    def add(self, entry: dict[str, float]) -> None:
        if self.folder is not None:
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def keep_best(self, model: nn.Module, state: Training, entry: dict, keep: str) -> None:
        name, sign = keep.lstrip("-"), -1 if keep.startswith("-") else 1
        if name not in entry:
            raise ValueError(f'keep is "{keep}", which check did not return; it gave {list(entry)}')
        if state.best is None or sign * entry[name] < sign * state.best[name]:
            state.best = entry
            self.best = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}

    def finish(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        state: Training,
        keep: str | None,
        trained: bool,
    ) -> None:
        """Take the best weights, and write the last files unless an earlier call has done so."""
        if trained:
            self.save(model, optimiser, state)
        if keep is not None and self.best is not None:
            model.load_state_dict(self.best)
        if self.folder is None or (not trained and (self.folder / "model.safetensors").exists()):
            return
        about = {"settings": self.told, "step": state.steps, "best": state.best}
        weights.save(self.folder / "model.safetensors", model.state_dict(), about)
        plot_log(state.log, self.folder / "loss.png")


def plot_log(log: list[dict[str, float]], path: str | Path) -> bool:
    """Draw the loss, its parts and what was checked over steps; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    names = sorted({name for entry in log for name in entry} - {"step", "lr", "loss"})
    figure = Figure(figsize=(6, 2.2 * (1 + len(names))), layout="constrained")
    for row, name in enumerate(["loss", *names]):
        axes = figure.add_subplot(1 + len(names), 1, row + 1)
        points = [(entry["step"], entry[name]) for entry in log if name in entry]
        axes.plot(*zip(*points, strict=True), color="#2a6f97")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    figure.savefig(path, dpi=110)
    return True


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _difference(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> str:
    names = [n for n in {**there, **here} if there.get(n) != here.get(n)]
    told = ", ".join(f"{n} {there.get(n)!r} there, {here.get(n)!r} here" for n in names)
    return f"{folder} holds another training ({told}); use another folder, or remove that one"


def _rewrite(path: Path, log: list[dict[str, float]]) -> None:
    text = "".join(json.dumps(entry) + "\n" for entry in log)
    weights.write_bytes(path, text.encode())


def _write_json(path: Path, value: Any) -> None:
    weights.write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())
