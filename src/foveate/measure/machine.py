"""What a measurement was taken on: processor, memory, versions, commit. No names of hosts.

The one thing to know: everything here is read without importing the packages it reports on, so that
`foveate doctor` can describe a broken installation.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

INTERESTING_FLAGS = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512dq",
    "avx512cd",
    "avx512vbmi",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
"""CPU features that decide which kernels can run, as Linux spells them."""


def machine() -> dict[str, object]:
    """The processor and the memory, without anything that identifies the machine."""
    info = _cpuinfo()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": info.get("model name") or platform.processor() or "unknown",
        "cores": usable_cores(),
        "features": [f for f in INTERESTING_FLAGS if f in cpu_features()],
        "memory_gib": _memory_gib(),
    }


def usable_cores() -> int:
    """CPUs this process may use; less than the machine has inside a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_features() -> frozenset[str]:
    """All feature flags the kernel reports; empty where there is no /proc/cpuinfo."""
    info = _cpuinfo()
    return frozenset((info.get("flags") or info.get("Features") or "").split())


def versions(*packages: str) -> dict[str, str | None]:
    """Installed versions, read from metadata; None for a package that is not installed."""
    return {name: version(name) for name in packages}


def version(package: str) -> str | None:
    """Version of one installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit(folder: str | os.PathLike[str] | None = None) -> str | None:
    """Short commit of the source tree, "+" appended when tracked files differ; None outside git.

    Args:
        folder: A folder of the working tree; the one of this file if None.
    """
    where = Path(folder) if folder is not None else Path(__file__).parent
    head = _git(where, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return None
    # generated results and tables differ while they are being written: they are not code
    sources = ("src", "csrc", "benchmarks/*.py", "CMakeLists.txt")
    root = _git(where, "rev-parse", "--show-toplevel")
    dirty = root and _git(Path(root), "status", "--porcelain", "-uno", "--", *sources)
    return head + "+" if dirty else head


def load_average() -> float | None:
    """Runnable processes averaged over one minute, to notice a machine that is not idle."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    first = text.split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_gib() -> float | None:
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(size / 2**30, 1)
