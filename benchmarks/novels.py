"""Six novels as plain text, from the data of the R package `janeaustenr`; no R is needed.

    apt-get download r-cran-janeaustenr && dpkg -x r-cran-janeaustenr*.deb package
    python -m benchmarks.novels package novels        # novels/emma.txt, …

The one thing to know: `Rdata.rdb` holds one compressed, serialised vector of lines for each novel,
and `Rdata.rdx` says where each begins. (Texts: public domain; the package: MIT.)
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import os
import struct
import zlib
from pathlib import Path

ORDER = (  # of the vectors in the file, which is that of their names
    "emma",
    "mansfieldpark",
    "northangerabbey",
    "persuasion",
    "prideprejudice",
    "sensesensibility",
)
_UNPACK = {b"Z": lzma.decompress, b"2": bz2.decompress, b"1": zlib.decompress, b"0": bytes}


def read_novels(package: str | os.PathLike[str]) -> dict[str, str]:
    """Title → text, from an unpacked package.

    Raises:
        FileNotFoundError: There is no `Rdata.rdb` below the folder.
        ValueError: The file is not laid out as expected.
    """
    found = sorted(Path(package).rglob("data/Rdata.rdb"))
    if not found:
        raise FileNotFoundError(
            f"{package} holds no data/Rdata.rdb; expected r-cran-janeaustenr unpacked by dpkg -x"
        )
    vectors = _vectors(found[0].read_bytes(), found[0].with_suffix(".rdx").read_bytes())
    if len(vectors) != len(ORDER):
        raise ValueError(f"{found[0]} holds {len(vectors)} novels; expected {len(ORDER)}")
    return {name: "\n".join(x) + "\n" for name, x in zip(ORDER, vectors, strict=True)}


def _vectors(data: bytes, index: bytes) -> list[list[str]]:
    """Every vector of strings, in the order of the index."""
    plain = zlib.decompress(index, 31 if index[:2] == b"\x1f\x8b" else 15)
    mark = b"\x00\x00\x00\x0d\x00\x00\x00\x02"  # an integer vector of two: offset and length
    places, at = [], plain.find(mark)
    while at >= 0 and len(places) < len(ORDER):
        places.append(struct.unpack(">2i", plain[at + 8 : at + 16]))
        at = plain.find(mark, at + 16)
    return [_strings(_unpacked(data[start : start + size])) for start, size in places]


def _unpacked(chunk: bytes) -> bytes:
    """A chunk: its length unpacked (4 bytes), how it is packed (1 byte), the rest."""
    kind, body = chunk[4:5], chunk[5:]
    if kind == b"Z":  # R writes bare LZMA2 without a container
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
        return lzma.decompress(body, lzma.FORMAT_RAW, filters=filters)
    return _UNPACK[kind](body) if kind in _UNPACK else zlib.decompress(chunk[4:])


def _strings(serial: bytes) -> list[str]:
    """A serialised character vector (format "X", version 2 or 3)."""
    version = struct.unpack(">i", serial[2:6])[0]
    at = 14 if version == 2 else 18 + struct.unpack(">i", serial[14:18])[0]
    kind, count = struct.unpack(">2i", serial[at : at + 8])
    if kind & 0xFF != 16:
        raise ValueError(f"a vector of type {kind & 0xFF}; expected 16, strings")
    at, found = at + 8, []
    for _ in range(count):
        size = struct.unpack(">i", serial[at + 4 : at + 8])[0]
        found.append(serial[at + 8 : at + 8 + max(size, 0)].decode("utf-8"))
        at += 8 + max(size, 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="where the Debian package was unpacked")
    parser.add_argument("out", type=Path, help="folder for the texts")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in read_novels(options.package).items():
        path = options.out / f"{name}.txt"
        path.with_suffix(".tmp").write_text(text, encoding="utf-8")
        os.replace(path.with_suffix(".tmp"), path)
        print(f"{path}: {len(text):,} characters")


if __name__ == "__main__":
    main()
