"""SASRec: self-attentive sequential recommendation.

A causal transformer reads the last `window` items of a history and predicts the next item after each position. Its
equations stand at `segue.models.base.sasrec`.

Source: Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018.

Like the authors' program (github.com/kang205/SASRec), residual connections add the normalised input, and keys and
values are computed from the input that is not normalised. Differs from the authors' program in:
  * positions are counted from the newest item, so padding changes nothing;
  * there are as many position embeddings as the window has items;
  * sampled negatives are items that the user has no event with.

The paper's loss, with one negative per target, limits its quality (Klenitskiy and Vasilev, RecSys 2023). The default is
cross-entropy over all items. The preset `paper` has the paper's loss and settings. The preset `sampled` is a sampled
softmax of cosine similarities, for catalogues of tens of thousands of items.
"""

from __future__ import annotations

from typing import ClassVar

from segue.models.base.sasrec import SASRecConfig, SASRecNetwork


class SASRec(SASRecNetwork):
    """A causal transformer over the item sequence."""

    name = "sasrec"
    Config = SASRecConfig
    presets: ClassVar = {
        "paper": {"embedding_dim": 50, "loss": "bce", "coverage": "last", "dropout": 0.5, "epochs": 200},
        "sampled": {
            "loss": "sampled-ce",
            "negative_sampling": "shared",
            "num_negatives": 1024,
            "temperature": 0.08,
            "dropout": 0.3,
            "batch_size": 256,
            "lr": 5e-3,
        },
    }
