"""Claims about training with video sparse attention: the paper's, and our own."""

from __future__ import annotations

from statistics import mean

from benchmarks.claims import Claim
from benchmarks.vsa_tables import BASELINES, Study, keep_of, percent, signed, span

SCALE = "a transformer of 6 layers on one film, 2,048 tokens, equal training FLOPs"
TINY = "a transformer of 4 layers on one film, 256 tokens, cubes of 8, equal training FLOPs, CPU"
RETROFIT = "mean of the seeds, 32 of 256 cubes at the end"
PAPER = "120M parameters, 16K tokens"


def _final(study: Study, *arms: str) -> str:
    return ", ".join(f"{arm} {mean(study.final(arm)):.4f}" for arm in arms)


def _worse(study: Study, arm: str, other: str = "VSA") -> bool:
    """Whether an arm ends above another for every seed."""
    return min(study.above(arm, other)) > 0


def _sweep(study: Study) -> list[tuple[int, float]]:
    arms = [arm for arm in study.arms() if arm == "VSA" or "K=" in arm]
    if len(arms) < 3:
        raise LookupError(f"no sweep of K in {study.name}")
    return sorted((keep_of(arm, study), mean(study.final(arm))) for arm in arms)


def _ends(study: Study, way: str) -> tuple[float, float]:
    curves = study.retrofit(way)
    return mean(max(y for _, y in c) for c in curves), mean(c[-1][1] for c in curves)


def _ways(study: Study, *ways: str) -> str:
    found = ((way, *_ends(study, way)) for way in ways)
    return "; ".join(f"{way} {worst:.4f}, {last:.4f}" for way, worst, last in found)


def _mass(study: Study, kind: str) -> float:
    return mean(map(mean, study.critical()[kind]))


def _formula() -> float:
    from foveate.train.video import transformer_flops

    size = {"parameters": 416e6, "tokens": 16384, "dim": 1024, "layers": 24}
    return transformer_flops(**size) / transformer_flops(**size, density=1 / 8, cube=64)


CLAIMS = (
    Claim(
        "VSA",
        "Training to the loss of dense attention takes 2.53 times fewer FLOPs (abstract)",
        f"share of the budget at which VSA is at the final loss of dense; {SCALE}",
        lambda n: f"{mean(n.saving('VSA')):.2f} times {span(n.saving('VSA'), '{:.2f}'.format)}",
        lambda n: min(n.saving("VSA")) >= 2,
        "less than 2 times here",
    ),
    Claim(
        "VSA",
        "… of which 8 times fewer in attention; 2.53 is arithmetic for a model of 410M",
        "operations counted: 24 layers of 1,024, 16,384 tokens, 32 of 256 cubes, "
        "3.5 × forward in attention",
        lambda n: f"{_formula():.2f} times",
        lambda n: abs(_formula() - 2.53) < 0.02,
        "another number",
    ),
    Claim(
        "VSA",
        f"At equal FLOPs the loss is below that of dense attention (0.1316 and 0.1388; {PAPER})",
        f"held-out loss, every seed; {SCALE}",
        lambda n: (
            _final(n, "dense", "VSA")
            + f"; {signed(mean(n.above('VSA', 'dense')))} {span(n.above('VSA', 'dense'), signed)}"
        ),
        lambda n: max(n.above("VSA", "dense")) < 0,
        "not for every seed",
    ),
    Claim(
        "VSA",
        "… and below that of Compress KV, Spatial-Temporal, Spatial-Full and Strided Window "
        f"(table 1a; {PAPER})",
        f"held-out loss, every seed; {SCALE}",
        lambda n: _final(n, "VSA", *BASELINES[:4]),
        lambda n: all(_worse(n, arm) for arm in BASELINES[:4]),
        "not below all of them here",
    ),
    Claim(
        "VSA",
        "Cubes chosen by the data, with the coarse stage, are better than a window around each "
        "(0.1316 and 0.1333; table 1b)",
        f"held-out loss, every seed; the window has 27 cubes, VSA keeps 32; {SCALE}",
        lambda n: _final(n, "Local", "VSA"),
        lambda n: _worse(n, "Local"),
        "not here: so early, and in clips of 1.3 seconds, what is near is what matters",
    ),
    Claim(
        "VSA",
        "The output of the coarse stage helps (0.1330 → 0.1316; table 1b)",
        f"held-out loss with and without it, every seed; {SCALE}",
        lambda n: _final(n, "fine stage only", "VSA"),
        lambda n: _worse(n, "fine stage only"),
        "not here, so early: without it every seed ends lower, and a step costs less",
    ),
    Claim(
        "VSA",
        "Means stand best for cubes: maxima 0.1393, convolutions 0.2779 (unstable), means 0.1316",
        f"held-out loss, every seed: maxima at the larger scale ({SCALE}); convolutions {TINY}",
        lambda n: f"{_final(n, 'VSA', 'max pooling')}; {_final(n.tiny, 'VSA', 'conv pooling')}",
        lambda n: _worse(n, "max pooling") and _worse(n.tiny, "conv pooling"),
        "not for every seed",
    ),
    Claim(
        "VSA",
        "An eighth of the cubes is the best number at 16K tokens (32 of 256, figure 4)",
        f"held-out loss, every seed; {TINY}",
        lambda n: ", ".join(f"{keep} of 32: {loss:.4f}" for keep, loss in _sweep(n.tiny)),
        lambda n: all(_worse(n.tiny, arm) for arm in n.tiny.arms() if "K=" in arm),
        "not decided: the differences are smaller than those between seeds",
    ),
    Claim(
        "VSA",
        "The kept cubes hold 60 to 90 % of dense attention's mass, at random 8 % (section 3.3)",
        "trained with VSA, 32 of 256 cubes, mean of layers at five levels of noise",
        lambda n: (
            f"{percent(min(map(mean, n.critical()['kept'])))} to "
            f"{percent(max(map(mean, n.critical()['kept'])))}, random "
            f"{percent(n.critical()['random'])}, oracle "
            f"{percent(mean(map(mean, n.critical()['oracle'])))}"
        ),
        lambda n: min(map(mean, n.critical()["kept"])) >= 0.6,
        "less, but several times what chance gives",
    ),
    Claim(
        "VSA",
        "Scores of means choose about as well as the mass itself would",
        "the same, against the 32 cubes with the most mass for each cube of queries",
        lambda n: (
            f"{percent(_mass(n, 'kept'))} of the mass, an oracle {percent(_mass(n, 'oracle'))}"
        ),
        lambda n: _mass(n, "kept") > 0.95 * _mass(n, "oracle"),
        "an oracle finds more",
    ),
    Claim(
        "VSA",
        "A dense model becomes sparse best in steps (section 2.3)",
        f"from a dense model, half as many steps again; worst and last held-out loss; {RETROFIT}",
        lambda n: _ways(n, "at once", "annealed", "dense"),
        lambda n: _ends(n, "annealed")[1] < _ends(n, "at once")[1],
        "no: leaving cubes out at once costs little here, and is soon made good",
    ),
    Claim(
        "VSA",
        "… with gates that begin at zero",
        f"the same, gates of N(0, 0.02²) around one beside gates of zero; {RETROFIT}",
        lambda n: _ways(n, "annealed", "annealed, random gates"),
        lambda n: _ends(n, "annealed")[1] < _ends(n, "annealed, random gates")[1],
        "not here",
    ),
)
