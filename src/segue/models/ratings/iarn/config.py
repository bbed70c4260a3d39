"""`IARNConfig`: the settings of IARN, used by its network and by the model."""

from __future__ import annotations

from typing import ClassVar, Literal

from segue.config import Field
from segue.errors import require
from segue.models.base.gradient_config import FeaturedConfig
from segue.models.base.rating import BiasedRatingConfig
from segue.models.ratings.iarn.feature_encoder import FeatureEncoding
from segue.models.ratings.iarn.gated_rnn import StateActivation

Backbone = Literal["iarn", "tagm", "rnn", "lstm"]


class IARNConfig(FeaturedConfig, BiasedRatingConfig):
    """Settings of IARN."""

    embedding_dim: int = Field(25, ge=1, description="Size of the vectors of users and items.")
    context_dim: int = Field(64, ge=1, description="Size of each bi-directional state that the attention gates see.")
    hidden_dim: int = Field(64, ge=1, description="Size of the state of the gated recurrence, and of its output.")
    window: int = Field(50, ge=1, description="Number of most recent steps of each history that the model reads.")
    backbone: Backbone = Field("iarn", description="The paper's network, or one of the networks it is compared with.")
    dropout: float = Field(
        0.25, ge=0, lt=1, description="Dropout rate of the bi-directional states and of the last state."
    )
    activation: StateActivation = Field(
        "relu", description="Activation of the bi-directional states; the authors' program has softplus."
    )
    gate_scale: float = Field(1.0, description="Factor of the logits of the attention gates.")
    interaction_scale: float = Field(1.0, description="Factor of the other side's states in the attention gates.")
    bias: bool = Field(
        False, description="Whether the prediction includes a global mean and biases, solved in closed form beforehand."
    )
    use_ratings: bool = Field(
        False, description="Whether each step includes its rating; the paper's model leaves it out."
    )
    feature_encoder: FeatureEncoding = Field(
        "none", description="Encoder of the item features; none is the paper's IARN-Plain."
    )
    tanh_encoder: bool = Field(
        False, description="Whether a tanh follows each matrix of the hierarchy, as in the authors' program."
    )
    grad_clip_value: float = Field(10.0, gt=0, description="Largest absolute value of an entry of the gradient.")
    epoch_fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the ratings that an epoch uses, drawn anew in each epoch."
    )
    batch_size: int = 50
    renamed: ClassVar[dict[str, str]] = {
        "context": "context_dim",
        "hidden": "hidden_dim",
        "longest": "window",
        "sharpness": "gate_scale",
        "heed": "interaction_scale",
        "rated": "use_ratings",
        "encoder": "feature_encoder",
        "squash": "tanh_encoder",
        "clip": "grad_clip_value",
        "share": "epoch_fraction",
    }

    def check(self) -> None:
        super().check()
        encodes = self.feature_encoder != "none"
        column = self.feature_column
        require(
            bool(column) == encodes,
            f"feature_column={column!r}: name a column if and only if feature_encoder is flat or hierarchical",
        )
