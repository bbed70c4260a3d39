"""`TransformerConfig`: the settings that all transformers have."""

from __future__ import annotations

from segue.config import Field
from segue.errors import require
from segue.models.base.ranking import RankingConfig


class TransformerConfig(RankingConfig):
    """Settings of all transformers."""

    window: int = Field(50, ge=1, description="Number of most recent items that are read.")
    num_blocks: int = Field(2, ge=1, le=100, description="Number of transformer blocks.")
    num_heads: int = Field(1, ge=1, description="Number of attention heads; it must divide embedding_dim.")
    batch_size: int = 128

    def check(self) -> None:
        super().check()
        require(
            self.embedding_dim % self.num_heads == 0,
            f"num_heads={self.num_heads}: must divide embedding_dim={self.embedding_dim}",
        )
