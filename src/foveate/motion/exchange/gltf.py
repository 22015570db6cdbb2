"""glTF 2.0 in one binary file (GLB): skeleton, skin, animation and scene.

The one thing to know: the rest pose of the file is a T-pose in which every joint's frame is aligned
with the world, so a VRM animation (`.vrma`) is the same file with a table of bone names. Rotations
are sampled at every frame: glTF interpolates quaternions along the shorter arc only.
Source: Khronos glTF 2.0 specification; VRMC_vrm_animation 1.0.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations as rot
from ..clip import write_atomic
from .mesh import Mesh
from .skeletal import SkeletalMotion

FLOAT, USHORT, UINT, UBYTE = 5126, 5123, 5125, 5121
TYPES = {FLOAT: np.float32, USHORT: np.uint16, UINT: np.uint32, UBYTE: np.uint8}
SHAPES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MAGIC, JSON, BIN = 0x46546C67, 0x4E4F534A, 0x004E4942

VRM_BONES = {
    "pelvis": "hips",
    "spine1": "spine",
    "spine2": "chest",
    "spine3": "upperChest",
    "neck": "neck",
    "head": "head",
    **{
        f"{s}_{ours}": f"{side}{theirs}"
        for s, side in (("L", "left"), ("R", "right"))
        for ours, theirs in (
            ("hip", "UpperLeg"),
            ("knee", "LowerLeg"),
            ("ankle", "Foot"),
            ("foot", "Toes"),
            ("collar", "Shoulder"),
            ("shoulder", "UpperArm"),
            ("elbow", "LowerArm"),
            ("wrist", "Hand"),
        )
    },
}


class _Buffer:
    """Binary data with its accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self, values: np.ndarray, component: int, shape: str, bounds: bool = False, target: int = 0
    ) -> int:
        values = np.ascontiguousarray(values, TYPES[component])
        self.data += b"\0" * (-len(self.data) % 4)
        view: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self.data),
            "byteLength": values.nbytes,
        }
        if target:
            view["target"] = target
        self.data += values.tobytes()
        self.views.append(view)
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": values.size // SHAPES[shape],
            "type": shape,
        }
        if bounds:
            flat = values.reshape(-1, SHAPES[shape])
            accessor["min"] = [float(v) for v in flat.min(0)]
            accessor["max"] = [float(v) for v in flat.max(0)]
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_glb(
    motion: SkeletalMotion,
    path: str | Path,
    *,
    skin: Mesh | None = None,
    scene: Mesh | None = None,
    extras: dict[str, Any] | None = None,
    vrm: bool = False,
) -> Path:
    """Write a GLB; the file appears complete or not at all.

    Args:
        motion: File frame, metres, T-pose at rest.
        path: Where; the folder must exist.
        skin: Vertices at the T-pose with the root at `motion.offsets[0]`, and their joints.
        scene: What stands around, in the file frame.
        extras: Plain values stored with the asset.
        vrm: Add the VRMC_vrm_animation extension.
    """
    write_atomic(path, glb_bytes(motion, skin=skin, scene=scene, extras=extras, vrm=vrm))
    return Path(path)


def glb_bytes(
    motion: SkeletalMotion,
    *,
    skin: Mesh | None = None,
    scene: Mesh | None = None,
    extras: dict[str, Any] | None = None,
    vrm: bool = False,
) -> bytes:
    """The bytes of a GLB, see `write_glb`."""
    buffer = _Buffer()
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(motion.names):
        node: dict[str, Any] = {
            "name": VRM_BONES.get(name, name) if vrm else name,
            "translation": [float(v) for v in motion.offsets[joint]],
        }
        children = [c for c, p in enumerate(motion.parents) if p == joint]
        if children:
            node["children"] = children
        nodes.append(node)
    roots = [motion.parents.index(-1)]
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "foveate"},
        "scene": 0,
        "nodes": nodes,
    }
    if extras:
        document["asset"]["extras"] = extras
    meshes: list[dict[str, Any]] = []
    if skin is not None:
        document["skins"] = [_skin(motion, buffer)]
        meshes.append(_mesh("figure", skin, buffer, 0.75))
        nodes.append({"name": "figure", "mesh": 0, "skin": 0})
        roots.append(len(nodes) - 1)
    if scene is not None:
        meshes.append(_mesh("scene", scene, buffer, 0.9))
        nodes.append({"name": "scene", "mesh": len(meshes) - 1})
        roots.append(len(nodes) - 1)
    if meshes:
        document["meshes"] = meshes
        document["materials"] = [
            {
                "name": name,
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": rough},
                "doubleSided": name == "scene",
            }
            for name, rough in (("figure", 0.75), ("scene", 0.9))
        ]
        for mesh in meshes:
            mesh["primitives"][0]["material"] = 0 if mesh["name"] == "figure" else 1
    document["scenes"] = [{"nodes": roots}]
    document["animations"] = [_animation(motion, buffer)]
    if vrm:
        bones = {
            VRM_BONES[name]: {"node": joint}
            for joint, name in enumerate(motion.names)
            if name in VRM_BONES
        }
        document["extensionsUsed"] = ["VRMC_vrm_animation"]
        document["extensions"] = {
            "VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": bones}}
        }
    document["accessors"] = buffer.accessors
    document["bufferViews"] = buffer.views
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<III", MAGIC, 2, total),
            struct.pack("<II", len(text), JSON) + text,
            struct.pack("<II", len(binary), BIN) + binary,
        ]
    )


def _rest_places(motion: SkeletalMotion) -> np.ndarray:
    place = np.zeros_like(motion.offsets)
    for joint, parent in enumerate(motion.parents):
        place[joint] = motion.offsets[joint] + (place[parent] if parent >= 0 else 0)
    return place


def _skin(motion: SkeletalMotion, buffer: _Buffer) -> dict[str, Any]:
    inverse = np.tile(np.eye(4), (len(motion.names), 1, 1))
    inverse[:, :3, 3] = -_rest_places(motion)
    columns = inverse.transpose(0, 2, 1)  # glTF stores matrices by columns
    return {
        "name": "figure",
        "joints": list(range(len(motion.names))),
        "skeleton": motion.parents.index(-1),
        "inverseBindMatrices": buffer.add(columns.reshape(-1, 16), FLOAT, "MAT4"),
    }


def _mesh(name: str, mesh: Mesh, buffer: _Buffer, roughness: float) -> dict[str, Any]:
    attributes = {
        "POSITION": buffer.add(mesh.points, FLOAT, "VEC3", bounds=True, target=34962),
        "NORMAL": buffer.add(mesh.normals, FLOAT, "VEC3", target=34962),
    }
    if mesh.colours is not None:
        linear = np.power(mesh.colours, 2.2)  # glTF vertex colours are linear, ours are for screens
        attributes["COLOR_0"] = buffer.add(linear, FLOAT, "VEC3", target=34962)
    if mesh.joints is not None:
        four = np.zeros((len(mesh.points), 4))
        four[:, 0] = mesh.joints
        weights = np.zeros((len(mesh.points), 4))
        weights[:, 0] = 1
        attributes["JOINTS_0"] = buffer.add(four, UBYTE, "VEC4", target=34962)
        attributes["WEIGHTS_0"] = buffer.add(weights, FLOAT, "VEC4", target=34962)
    indices = buffer.add(mesh.faces.reshape(-1), UINT, "SCALAR", target=34963)
    return {"name": name, "primitives": [{"attributes": attributes, "indices": indices}]}


def _animation(motion: SkeletalMotion, buffer: _Buffer) -> dict[str, Any]:
    frames = len(motion.root)
    times = buffer.add(np.arange(frames) / motion.fps, FLOAT, "SCALAR", bounds=True)
    samplers, channels = [], []

    def channel(joint: int, path: str, output: int) -> None:
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": joint, "path": path}})

    root = motion.parents.index(-1)
    channel(root, "translation", buffer.add(motion.root, FLOAT, "VEC3"))
    turns = rot.continuous(rot.unit(motion.turns))
    for joint in range(len(motion.names)):
        xyzw = turns[:, joint][:, [1, 2, 3, 0]]
        channel(joint, "rotation", buffer.add(xyzw, FLOAT, "VEC4"))
    return {"name": "motion", "samplers": samplers, "channels": channels}
