"""Video diffusion with sparse attention, small enough to train on a laptop.

    film = open_film("film.mp4", size=64)
    model, records = train_video(film, Plan(), Recipe(600), "run")
    write_video("samples.mp4", side_by_side(model.make(9)))

The one thing to know: the pieces stand alone, too. `VideoDiT` takes any attention, `PatchCodec`
any clips, `model_flops` counts what a step costs.
"""

from .codec import PatchCodec
from .files import side_by_side, write_video
from .film import Film, open_film
from .flops import Flops, model_flops, transformer_flops
from .flow import flow_loss, held_out_loss, sample
from .gathered import GatheredAttention, gathered_attention
from .model import DenseAttention, VideoDiT, sparse
from .synthetic import moving_shapes
from .training import Plan, VideoModel, load_video_model, train_video

__all__ = [
    "DenseAttention",
    "Film",
    "Flops",
    "GatheredAttention",
    "PatchCodec",
    "Plan",
    "VideoDiT",
    "VideoModel",
    "flow_loss",
    "gathered_attention",
    "held_out_loss",
    "load_video_model",
    "model_flops",
    "moving_shapes",
    "open_film",
    "sample",
    "side_by_side",
    "sparse",
    "train_video",
    "transformer_flops",
    "write_video",
]
