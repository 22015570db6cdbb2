"""`foveate explain`: what makes q, k, v hard to quantize, and how large each precision's error is.

The one thing to know: nothing is guessed. Each precision really runs, on blocks of consecutive
query rows sampled from the file, and is compared with float64. Under a causal rule a block is run
against exactly the keys it may see, so that its rows are the ones of the full call.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import explain_plan
from .bench import split
from .console import BadInput, Progress, print_json, table

DEFAULT = "native,int8,sage,sage2,sage2(qk_bits=4),sage2++,sage3"
ROWS = 128  # queries in one sampled block: the block that shares a mean in smoothing of Q


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate explain`."""
    add = parser.add_argument
    add(
        "file",
        metavar="FILE",
        help=".safetensors with q [B, Hq, Lq, D], k and v [B, Hk, Lk, D]; or a plan, .json",
    )
    add("--names", default="q,k,v", metavar="Q,K,V", help="the tensors' names, default %(default)s")
    add("--precision", default=DEFAULT, metavar="P,P", help="default %(default)s")
    add("--causal", action="store_true", help="hide later keys")
    add("--scale", type=float, help="default: head size ** -0.5")
    add("--blocks", type=int, default=4, help=f"sampled blocks of {ROWS} rows, default %(default)s")
    add("--json", action="store_true", help="print JSON only")
    explain_plan.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, measure, print."""
    import torch

    if explain_plan.is_plan(args.file):
        return explain_plan.run(args)
    if args.blocks < 1:
        raise BadInput(f"--blocks is {args.blocks}; expected at least 1")
    q, k, v = load(args.file, args.names)
    choices = [(text, _precision(text)) for text in split(args.precision)]
    with torch.no_grad(), Progress(len(choices) + 1, "explain", quiet=args.json) as progress:
        result: dict[str, Any] = {
            "file": Path(args.file).name,
            "shapes": {"q": list(q.shape), "k": list(k.shape), "v": list(v.shape)},
            "dtype": str(q.dtype).removeprefix("torch."),
            "causal": args.causal,
        }
        blocks = sample(q, k, v, args.causal, args.scale, args.blocks)
        result["heads"] = describe(q, k, blocks)
        progress.step("exact attention")
        result["precisions"] = []
        for text, precision in choices:
            result["precisions"].append(_predict(text, precision, blocks, args))
            progress.step(text)
    if args.json:
        print_json(result)
    else:
        print(render(result))
    return 0


def load(file: str, names: str) -> tuple[Any, Any, Any]:
    """q, k, v from a .safetensors file, checked.

    Raises:
        BadInput: No such file, not safetensors, a missing tensor, or shapes that do not fit.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise BadInput("safetensors is not installed: pip install 'foveate[models]'") from None
    wanted = split(names)
    if len(wanted) != 3:
        raise BadInput(f'--names is "{names}"; expected three names, e.g. --names q,k,v')
    if not Path(file).is_file():
        raise BadInput(f'"{file}" is not a file; expected a .safetensors file')
    try:
        with safe_open(file, framework="pt") as opened:
            missing = [name for name in wanted if name not in opened.keys()]  # noqa: SIM118
            if missing:
                here = ", ".join(sorted(opened.keys())[:12]) or "nothing"
                raise BadInput(f'"{file}" has no tensor "{missing[0]}"; it has {here}; see --names')
            q, k, v = (opened.get_tensor(name) for name in wanted)
    except SafetensorError as error:
        raise BadInput(f'"{file}" cannot be read as safetensors: {error}') from None
    _check(q, k, v)
    return q, k, v


def _check(q: Any, k: Any, v: Any) -> None:
    shapes = f"q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
    if not all(x.dim() == 4 for x in (q, k, v)):
        raise BadInput(f"expected tensors [B, H, L, D] with four dimensions; came {shapes}")
    if not all(x.is_floating_point() for x in (q, k, v)):
        raise BadInput(f"expected floating point; came {q.dtype}, {k.dtype}, {v.dtype}")
    fits = (
        q.shape[0] == k.shape[0] == v.shape[0]
        and q.shape[3] == k.shape[3]
        and k.shape[1:3] == v.shape[1:3]
        and min(*q.shape, *k.shape, *v.shape) > 0
        and q.shape[1] % k.shape[1] == 0
    )
    if not fits:
        raise BadInput(
            f"the shapes do not fit: {shapes}; expected q [B, Hq, Lq, D], k [B, Hk, Lk, D], "
            "v [B, Hk, Lk, Dv] with Hq % Hk == 0"
        )


def _precision(text: str) -> Any:
    from ..measure.trial import parse_precision

    try:
        return parse_precision(text)
    except (ValueError, TypeError) as error:
        raise BadInput(str(error)) from error


def sample(q: Any, k: Any, v: Any, causal: bool, scale: float | None, count: int) -> list[Any]:
    """Blocks of query rows with the keys they may see, their exact result and sink mass.

    Returns:
        Tuples (q rows, k, v, exact float64 `[B, Hq, R, Dv]`, mass on key 0 `[B, Hq, R]`).
    """
    import torch

    length, keys = q.shape[2], k.shape[2]
    starts = torch.linspace(0, max(0, length - ROWS), count).long().div(ROWS, rounding_mode="floor")
    found = []
    for start in sorted({int(s) * ROWS for s in starts}):
        rows = q[:, :, start : start + ROWS]
        stop = start + rows.shape[2] + keys - length if causal else keys
        if stop <= 0:
            continue  # these rows see nothing
        part_k, part_v = k[:, :, :stop], v[:, :, :stop]
        exact, sink = _exact(rows, part_k, part_v, causal, scale)
        found.append((rows, part_k, part_v, exact, sink))
    if not found:
        raise BadInput("with --causal no sampled query sees a key; expected Lq ≤ Lk")
    return found


def _exact(q: Any, k: Any, v: Any, causal: bool, scale: float | None) -> tuple[Any, Any]:
    import torch

    group = q.shape[1] // k.shape[1]
    keys = k.double().repeat_interleave(group, 1)
    values = v.double().repeat_interleave(group, 1)
    scores = q.double() @ keys.transpose(2, 3)
    scores *= q.shape[3] ** -0.5 if scale is None else scale
    if causal:
        last = torch.arange(q.shape[2]) + k.shape[2] - q.shape[2]
        scores.masked_fill_(torch.arange(k.shape[2]) > last.unsqueeze(1), -torch.inf)
    mass = torch.softmax(scores, -1).nan_to_num()
    return mass @ values, mass[..., 0]


def describe(q: Any, k: Any, blocks: list[Any]) -> list[dict[str, float]]:
    """For each kv head: channel bias of K and Q, largest value, attention on the first key.

    bias = largest |mean| of a channel over the spread (root mean square after removing the means):
    above about 3, K needs smoothing. sink = share of attention that goes to key 0.
    """
    import torch

    group = q.shape[1] // k.shape[1]
    sinks = torch.cat([b[4] for b in blocks], dim=2).mean(dim=(0, 2))  # [Hq]
    heads = []
    for head in range(k.shape[1]):
        mine = slice(head * group, (head + 1) * group)
        heads.append(
            {
                "head": head,
                "k_bias": _bias(k[:, head]),
                "q_bias": max(_bias(q[:, h]) for h in range(mine.start, mine.stop)),
                "k_largest": float(k[:, head].abs().max()),
                "sink": float(sinks[mine].mean()),
                "sink_strongest": float(sinks[mine].max()),
            }
        )
    return heads


def _bias(x: Any) -> float:
    """Largest channel mean over the spread around the means; x `[B, L, D]`."""
    x = x.double()
    mean = x.mean(dim=1, keepdim=True)
    spread = (x - mean).square().mean().sqrt()
    return float(mean.abs().max() / spread.clamp(min=1e-30))


def _predict(
    text: str, precision: Any, blocks: list[Any], args: argparse.Namespace
) -> dict[str, Any]:
    """Error of one precision over the sampled rows."""
    import torch

    import foveate

    from ..measure.error import cosine, relative_l1

    outs = []
    for q, k, v, _, _ in blocks:
        try:
            out = foveate.attention(
                q, k, v, precision=precision, causal=args.causal, scale=args.scale
            )
        except (foveate.BackendError, ValueError, TypeError) as error:
            return {"precision": text, "refused": str(error)}
        outs.append(out.double())
    out, exact = torch.cat(outs, 2), torch.cat([b[3] for b in blocks], 2)
    per_head = [float(relative_l1(out[:, h], exact[:, h])) for h in range(out.shape[1])]
    worst = max(range(len(per_head)), key=per_head.__getitem__)
    return {
        "precision": text,
        "relative_l1": float(relative_l1(out, exact)),
        "cosine": float(cosine(out, exact)),
        "worst_head": worst,
        "worst_head_relative_l1": per_head[worst],
    }


def render(result: dict[str, Any]) -> str:
    """The result as text."""
    shapes = ", ".join(f"{name} {shape}" for name, shape in result["shapes"].items())
    rows = [
        [
            str(h["head"]),
            f"{h['k_bias']:.2f}",
            f"{h['q_bias']:.2f}",
            f"{h['k_largest']:.3g}",
            f"{h['sink']:.1%}",
            f"{h['sink_strongest']:.1%}",
        ]
        for h in result["heads"]
    ]
    head = ["kv head", "bias of K", "bias of Q", "largest |k|", "sink", "strongest sink"]
    lines = [
        f"{result['file']}: {shapes}, {result['dtype']}{', causal' if result['causal'] else ''}",
        "",
        table(head, rows),
        "bias: largest channel mean over the spread; smoothing removes it. "
        "sink: share of attention on the first key.",
        "",
    ]
    rows = []
    for p in result["precisions"]:
        if "refused" in p:
            rows.append([p["precision"], "·", "·", "·", p["refused"]])
            continue
        worst = f"{p['worst_head_relative_l1']:.4f} (head {p['worst_head']})"
        rows.append([p["precision"], f"{p['relative_l1']:.4f}", f"{p['cosine']:.6f}", worst, ""])
    lines.append(table(["precision", "rel. L1", "cosine", "worst head", ""], rows))
    return "\n".join(lines)
