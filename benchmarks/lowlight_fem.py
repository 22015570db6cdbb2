"""What RAW is good for, on simulated low light: the factorised benchmark.

    python -m benchmarks.lowlight_fem run --photos FOLDER --out runs/fem
    python -m benchmarks.lowlight_fem report runs/fem

`run` trains one enhancer per configuration and seed and goes on after a stop. `report` writes
benchmarks/results/lowlight-fem.json, docs/fem.png and, beside the scores, fem_report.{json,md,png}.

The one thing to know: five studies are made. The main one has random tone curves; "one curve" has
the same S-curve for all pictures, "power" a pure power law, "naive" drops the controls as well, and
"untold" is the main one without telling the network the gain.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from foveate.lowlight import weights
from foveate.lowlight.fem.factors import Factors
from foveate.lowlight.fem.trainings import Budget, default_configs, make_data, run
from foveate.lowlight.pairs import LowLight

from .lowlight_split import SIDE, TEST, TRAIN, photographs

RESULT = Path(__file__).parent / "results" / "lowlight-fem.json"
PICTURE = Path(__file__).parent.parent / "docs" / "fem.png"
RATIOS = (10, 30, 100, 300)
SPAN = (10.0, 300.0)
FEW = [Factors.of(c) for c in ("none", "L", "T", "LT")]
STUDIES = {
    "main": (LowLight(ratios=SPAN, contrasts=(0.2, 0.8)), "controlled"),
    "one curve": (LowLight(ratios=SPAN, contrasts=(0.5, 0.5)), "controlled"),
    "power": (LowLight(ratios=SPAN, contrasts=(0.0, 0.0), base="power"), "controlled"),
    "naive": (LowLight(ratios=SPAN, contrasts=(0.0, 0.0), base="power"), "naive"),
    "untold": (LowLight(ratios=SPAN, contrasts=(0.2, 0.8)), "untold"),
}
"""Study → how its pairs are simulated, and what the network is given."""


def run_all(args: argparse.Namespace) -> None:
    """Train what is not trained yet, seed by seed: the main study first, then the others."""
    begin = time.monotonic()
    until = begin + 60 * args.minutes if args.minutes else None
    torch.backends.cudnn.benchmark = True
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    photos = photographs(args.photos, TRAIN), photographs(args.photos, TEST)
    folder = Path(args.out)
    held: dict[str, object] = {}
    seeds = tuple(range(args.seeds))
    if args.only_seed is not None:
        seeds = (args.only_seed,)
    for seed in seeds:
        for study in args.studies.split(","):
            simulator, inputs = STUDIES[study]
            if args.configs == "all-subsets":
                configs = all_subsets()
            else:
                configs = default_configs() if study in ("main", "untold") else FEW
            budget = Budget(steps=args.steps, seeds=seeds, pairs=args.pairs)
            if study not in held:
                held[study] = make_data(*photos, simulator, budget, RATIOS, 4, device)
            told = run(
                configs,
                held[study],
                Budget(args.steps, (seed,), budget.widths, args.pairs),
                folder / f"{study.replace(' ', '-')}-{args.steps}-seed{seed}.json",
                inputs,
                until,
                quiet=args.quiet,
                log_every=200,
            )
            print(f"{study} seed {seed}: {len(told['scores'])} trainings", flush=True)


def all_subsets() -> list[Factors]:
    """All 128 sets of factors, for exact Shapley values."""
    from itertools import combinations

    from foveate.lowlight.fem.factors import FACTORS

    return [Factors(frozenset(c)) for n in range(8) for c in combinations(FACTORS, n)]


def report(args: argparse.Namespace) -> None:
    """Effects with intervals, tables and the waterfall."""
    from foveate.lowlight.fem.report import write_report

    result = write_report(Path(args.runs), args.steps)
    result["photos"] = {"train": TRAIN, "test": TEST, "side": SIDE}
    weights.write_bytes(RESULT, (json.dumps(result, indent=1) + "\n").encode())
    drawn = Path(args.runs) / "fem_report.png"
    if drawn.exists():
        weights.write_bytes(PICTURE, drawn.read_bytes())
    print((Path(args.runs) / "fem_report.md").read_text())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("run", help="train and score")
    one.add_argument("--photos", required=True, help="unpacked packages, or an npz file")
    one.add_argument("--out", required=True, help="folder for scores")
    one.add_argument("--steps", type=int, default=2000)
    one.add_argument("--pairs", type=int, default=4096)
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--only-seed", type=int)
    one.add_argument("--studies", default=",".join(STUDIES))
    one.add_argument("--configs", choices=("default", "all-subsets"), default="default")
    one.add_argument("--minutes", type=float, help="begin no training after so long")
    one.add_argument("--device", help="default: cuda if there is one")
    one.add_argument("--quiet", action="store_true")
    one.set_defaults(run=run_all)
    two = verbs.add_parser("report", help="effects, tables, waterfall")
    two.add_argument("runs")
    two.add_argument("--steps", type=int, default=2000)
    two.set_defaults(run=report)
    args = parser.parse_args()
    try:
        args.run(args)
    except KeyboardInterrupt as stop:
        raise SystemExit(f"\n{stop or 'stopped'}") from None


if __name__ == "__main__":
    main()
