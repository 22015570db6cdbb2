"""Several processes under torchrun that train one model together.

The one thing to know: what one process alone can see (a signal, a clock) is agreed on before it
decides anything, since all must take part in the same sums.
"""

from __future__ import annotations

import atexit

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .recipe import Share


def join_processes(device: torch.device) -> Share:
    """This process's place among those of torchrun; joins their group on the first call."""
    if not dist.is_available():
        return Share()
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return Share()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Share(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """Leave the group before the interpreter goes: threads of gloo would abort it."""
    if dist.is_initialized():
        dist.destroy_process_group()


def parallel(model: nn.Module, share: Share, device: torch.device) -> nn.Module:
    """The model as all processes train it; itself for one alone."""
    if share.world == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def agreed(wishes: list[bool], share: Share, device: torch.device) -> list[bool]:
    """Each wish that any process has: all must act on it at the same step."""
    if share.world == 1:
        return wishes
    told = torch.tensor([float(wish) for wish in wishes], device=device)
    dist.all_reduce(told)
    return [value > 0 for value in told.tolist()]


def averaged(values: Tensor, share: Share) -> Tensor:
    """The mean over processes, in place."""
    if share.world > 1:
        dist.all_reduce(values)
        values /= share.world
    return values


def as_the_first(model: nn.Module, share: Share) -> None:
    """Give every process the first one's weights, and wait for what it wrote."""
    if share.world > 1:
        for value in model.state_dict().values():
            dist.broadcast(value, 0)
        dist.barrier()
