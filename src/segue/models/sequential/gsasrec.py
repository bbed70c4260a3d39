"""gSASRec: SASRec with many negatives, and a loss that keeps them from making it overconfident.

The network is that of SASRec (`segue.models.base.sasrec`). With k sampled negatives of a target i out of |I| items, and
sigma(r) as the probability that a score r stands for, the loss gBCE is

    alpha = k / (|I| - 1)                                   the sampling rate
    beta = alpha (t (1 - 1 / alpha) + 1 / alpha)
    loss = -log sigma(r_i)^beta - sum over negatives j of  log(1 - sigma(r_j))

With one target among k negatives, a probability learnt with beta = 1 is that of an item of this sample, and far above
that of an item of the catalogue. With t = 1, beta is the sampling rate, which corrects it in full. The paper takes
t = .75 and k = 256, a compromise between calibration and speed of training.

Source: Petrov and Macdonald, "gSASRec: reducing overconfidence in sequential recommendation trained with negative
sampling", RecSys 2023.

Differs from the authors' program (github.com/asash/gSASRec-pytorch) in:
  * negatives are items that the user has no event with (`negative_sampling=shared` draws them once for a batch, from
    all items: training then costs less, and learns more slowly);
  * there are at most as many negatives as the catalogue has other items, so that alpha is 1 at most;
  * the loss is not divided by k + 1, on which Adam does not depend;
  * input and output share the item embeddings, as in the paper; a later version of the program separates them;
  * the network differs as SASRec's does: positions are counted from the newest item, and all items of a user are
    trained on (`coverage`).
"""

from __future__ import annotations

from typing import ClassVar

from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss
from segue.models.base.sasrec import SASRecConfig, SASRecNetwork


class GSASRecConfig(SASRecConfig):
    """Settings of gSASRec."""

    loss: Loss = "gbce"
    num_negatives: int = 256
    sample_alpha: float = 0.0
    batch_size: int = 16


class GSASRec(SASRecNetwork):
    """The network of SASRec, trained with gBCE and many negatives."""

    name = "gsasrec"
    training_cost = "high"
    Config = GSASRecConfig
    config: GSASRecConfig
    presets: ClassVar = {
        "author": {
            "embedding_dim": 128,
            "window": 200,
            "coverage": "last",
            "batch_size": 128,
            "dropout": 0.5,
            "epochs": 200,
        },
    }

    def __init__(self, config: GSASRecConfig, sizes: Sizes) -> None:
        num_negatives = min(config.num_negatives, max(sizes.num_items - 1, 1))  # the sampling rate is 1 at most
        super().__init__(config.model_copy(update={"num_negatives": num_negatives}), sizes)
