"""Training language models: texts, a small decoder, and what is measured while they learn.

    text = Text.from_files(["novel.txt"], bytes_of)
    model = Decoder(DecoderSize(qk_norm=True), precision="sagebwd")
    fit(model, next_token_loss, text.batches(16, 512, device), Recipe(steps=1000))

The one thing to know: a model of transformers is trained in 8 bits by its attention's name,
`model.set_attn_implementation("foveate:sagebwd")`; `next_token_loss` and `Text` serve both kinds.
"""

from .learning import next_token_loss, perplexity
from .model import Decoder, DecoderSize
from .text import Text, bytes_of

__all__ = ["Decoder", "DecoderSize", "Text", "bytes_of", "next_token_loss", "perplexity"]
