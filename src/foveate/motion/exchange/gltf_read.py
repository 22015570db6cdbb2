"""Reading GLB: the first sampled animation of a skeleton."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations as rot
from .gltf import JSON, MAGIC, SHAPES, TYPES
from .skeletal import SkeletalMotion


class BrokenGLB(ValueError):
    """The file is not a GLB, or has no animated skeleton that can be read."""


def read_glb(path: str | Path) -> tuple[SkeletalMotion, dict[str, Any]]:
    """Read the first animation of a GLB whose samplers share their times, as ours do.

    Args:
        path: The file.

    Returns:
        The motion, and the extras of the asset.

    Raises:
        BrokenGLB: Not a GLB, or nothing in it can be read as a sampled skeletal animation.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        document, binary = _chunks(path.read_bytes())
        return _motion_of(document, binary), document.get("asset", {}).get("extras", {})
    except BrokenGLB as error:
        raise BrokenGLB(f"{path.name}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, struct.error) as error:
        what = f"{type(error).__name__} {error}"
        raise BrokenGLB(f"{path.name}: damaged or of an unknown form ({what})") from None


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    if len(data) < 20 or struct.unpack_from("<I", data)[0] != MAGIC:
        raise BrokenGLB("not a GLB file")
    _, version, total = struct.unpack_from("<III", data)
    if version != 2 or total != len(data):
        raise BrokenGLB(f"version {version}, {total} bytes said, {len(data)} there; expected 2")
    length, kind = struct.unpack_from("<II", data, 12)
    if kind != JSON:
        raise BrokenGLB("the first chunk is not JSON")
    document = json.loads(data[20 : 20 + length])
    size, _ = struct.unpack_from("<II", data, 20 + length)
    return document, data[28 + length : 28 + length + size]


def _values(document: dict[str, Any], binary: bytes, index: int) -> np.ndarray:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width, kind = SHAPES[accessor["type"]], TYPES[accessor["componentType"]]
    if "byteStride" in view or "sparse" in accessor:
        raise BrokenGLB("interleaved or sparse accessors are not read")
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    values = np.frombuffer(binary, kind, accessor["count"] * width, start)
    return values.reshape(-1, width).astype(float)


def _motion_of(document: dict[str, Any], binary: bytes) -> SkeletalMotion:
    if not document.get("animations"):
        raise BrokenGLB("it has no animation")
    animation = document["animations"][0]
    nodes = document["nodes"]
    parent = {c: p for p, node in enumerate(nodes) for c in node.get("children", [])}
    moved = {ch["target"]["node"] for ch in animation["channels"]}
    skins = document.get("skins") or [{"joints": sorted(moved)}]
    bones = list(skins[0]["joints"])
    inside = set(bones)
    order: list[int] = []
    while len(order) < len(bones):  # parents first
        ready = [b for b in bones if b not in order and parent.get(b) not in inside - set(order)]
        if not ready:
            raise BrokenGLB("its joints form no tree")
        order += ready
    times: np.ndarray | None = None
    turns: dict[int, np.ndarray] = {}
    moves: dict[int, np.ndarray] = {}
    for ch in animation["channels"]:
        sampler = animation["samplers"][ch["sampler"]]
        own = _values(document, binary, sampler["input"])[:, 0]
        if times is None:
            times = own
        if len(own) != len(times) or np.abs(own - times).max() > 1e-4:
            raise BrokenGLB("its samplers do not share their times")
        values = _values(document, binary, sampler["output"])
        if len(values) != len(times):
            raise BrokenGLB("only LINEAR and STEP samplers are read")
        store = {"rotation": turns, "translation": moves}.get(ch["target"]["path"])
        if store is not None:
            store[ch["target"]["node"]] = values
    if times is None or len(times) < 2:
        raise BrokenGLB("its animation has fewer than two frames")
    offsets = np.array([nodes[b].get("translation", [0, 0, 0]) for b in order], float)
    local = np.zeros((len(times), len(order), 4))
    for at, bone in enumerate(order):
        still = np.array([nodes[bone].get("rotation", [0, 0, 0, 1])], float)
        local[:, at] = turns.get(bone, still)[:, [3, 0, 1, 2]]
    root = moves.get(order[0], offsets[:1].repeat(len(times), 0))
    return SkeletalMotion(
        names=[nodes[b].get("name", f"node{b}") for b in order],
        parents=[order.index(parent[b]) if parent.get(b) in inside else -1 for b in order],
        offsets=offsets,
        turns=rot.unit(local),
        root=root,
        fps=(len(times) - 1) / float(times[-1] - times[0]),
    )
