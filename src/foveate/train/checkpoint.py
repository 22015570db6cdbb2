"""A whole training in one safetensors file: model, optimiser, random numbers, position.

    model.<name>            parameters and buffers
    optimizer.<n>.<key>     state of the n-th parameter
    rng.cpu, rng.cuda       states of torch's generators
    best.<name>             parameters and buffers at the best evaluation, if they are kept
    (metadata)              step, what was asked for, numbers of the optimiser

The one thing to know: it is one file, written beside its place and then moved there, so there is
never half a checkpoint. A batch is a function of its number (see `loop`), so the step is the
position in the data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .best import Best

NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    facts: Mapping[str, Any],
    best: Best | None = None,
) -> Path:
    """Write `checkpoint.safetensors` into a folder.

    Args:
        folder: Made if it does not exist.
        model: What is trained.
        optimizer: Its optimiser.
        step: Steps done.
        facts: Plain values that say what training this is, given back by `load_checkpoint`.
        best: What to remember of the best evaluation.

    Returns:
        The file.
    """
    best = best or Best(None)
    tensors = {f"model.{name}": x for name, x in model.state_dict().items()}
    tensors |= {f"best.{name}": x for name, x in best.state.items()}
    state = optimizer.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                numbers.setdefault(str(index), {})[key] = value
    tensors["rng.cpu"] = torch.get_rng_state()
    device = _device(model)
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    plan = {
        "step": step,
        "facts": dict(facts),
        "best": best.record,
        "numbers": numbers,
        "groups": [{k: v for k, v in g.items() if k != "params"} for g in state["param_groups"]],
    }
    path = Path(folder) / NAME
    _write(path, tensors, {"foveate": json.dumps(plan)})
    return path


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, best: Best | None = None
) -> tuple[int, dict[str, Any]] | None:
    """Bring back what `save_checkpoint` wrote, random numbers included.

    Args:
        folder: Where it is.
        model: A model of the same architecture, on its device.
        optimizer: An optimiser of the same kind over the same parameters.
        best: Takes what was remembered of the best evaluation.

    Returns:
        Steps done and the facts; None if the folder has no checkpoint.

    Raises:
        ValueError: The file is damaged, or of another model or optimiser.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    tensors, plan = _read(path)
    if "groups" not in plan:
        raise ValueError(f"{path} is not a checkpoint of this loop; expected another folder")
    states = _under(tensors, "model.")
    put(model, states, path)
    groups = optimizer.state_dict()["param_groups"]
    if len(groups) != len(plan["groups"]):
        raise ValueError(
            f"{path} has {len(plan['groups'])} groups of parameters, the optimizer {len(groups)}; "
            "expected the optimizer it was written with, or another folder"
        )
    state: dict[int, dict[str, Any]] = {}
    for name, value in _under(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    for index, entries in plan["numbers"].items():
        state.setdefault(int(index), {}).update(entries)
    optimizer.load_state_dict(
        {
            "state": state,
            "param_groups": [
                {**saved, "params": now["params"]}
                for saved, now in zip(plan["groups"], groups, strict=True)
            ],
        }
    )
    if best is not None:
        best.record, best.state = plan.get("best"), _under(tensors, "best.")
    torch.set_rng_state(tensors["rng.cpu"])
    device = _device(model)
    if device.type == "cuda" and "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)
    return plan["step"], plan["facts"]


def save_weights(
    path: str | os.PathLike[str], model: nn.Module, facts: Mapping[str, Any] | None = None
) -> None:
    """Write a model's parameters and buffers alone, to be used or given away.

    Args:
        path: A `.safetensors` file.
        model: The model.
        facts: Plain values kept with it, such as what builds the same architecture.
    """
    _write(Path(path), model.state_dict(), {"foveate": json.dumps({"facts": dict(facts or {})})})


def load_weights(path: str | os.PathLike[str], model: nn.Module) -> None:
    """Load what `save_weights` wrote, or the model of a checkpoint.

    Raises:
        ValueError: The file is damaged, or of another architecture; the model is as it was.
    """
    tensors, _ = _read(Path(path))
    put(model, _under(tensors, "model.") or tensors, Path(path))


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The facts in a file of `save_weights` or `save_checkpoint`; empty if it has none."""
    return _read(Path(path), tensors=False)[1].get("facts", {})


def put(model: nn.Module, states: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict whose names and shapes are exactly those of the model, or nothing."""
    own = model.state_dict()
    for name in own:
        if name not in states:
            raise ValueError(
                f"{path} lacks {name}; expected a file of the same architecture, or another folder"
            )
    for name, x in states.items():
        if name not in own or own[name].shape != x.shape:
            here = f"{list(own[name].shape)}" if name in own else "no such tensor"
            raise ValueError(
                f"{path} has {name} {list(x.shape)}, the model {here}; expected the same "
                "architecture, or another folder"
            )
    model.load_state_dict(states)


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    save_file = _safetensors().torch.save_file
    # parameters that share memory (tied embeddings) are written once for each name
    own = {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.tmp")
    try:
        save_file(own, work, metadata=metadata)
        work.chmod(0o644)  # safetensors leaves a file for its owner alone
        with work.open("rb") as file:
            os.fsync(file.fileno())  # the move must not reach the disk before the bytes do
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


def _read(path: Path, tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    safetensors = _safetensors()
    if not path.is_file():
        raise ValueError(f"{path} is not there; expected a .safetensors file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            plan = json.loads((file.metadata() or {}).get("foveate", "{}"))
            names = list(file.keys()) if tensors else []
            return {name: file.get_tensor(name) for name in names}, plan
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it to start again, or take an older copy"
        ) from None


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _safetensors():  # a module
    try:
        import safetensors
        import safetensors.torch
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'checkpoints need safetensors, which is not installed; pip install "foveate[train]"',
            name="safetensors",
        ) from None
    return safetensors
