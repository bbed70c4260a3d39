"""RecBole's names of settings, and of some values, in the words of the models here.

    embedding_size=64 pooling_type=max loss_type=BPR    ->    embedding_dim=64 pooling=gate_max loss=bpr

Both are accepted on the command line and in files of search spaces. A name that the model itself has is left as it is.
RecBole's two poolings of HGN are not those of the paper: `average` divides by the sum of the instance gates, and `max`
takes the item with the largest one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from segue.errors import ConfigError

# RecBole's names of settings, and the names here: the first one that the model has is used
NAMES: Mapping[str, tuple[str, ...]] = {
    "learning_rate": ("lr",),
    "train_batch_size": ("batch_size",),
    "embedding_size": ("embedding_dim",),
    "hidden_size": ("hidden_dim", "embedding_dim"),
    "inner_size": ("ffn_dim",),
    "MAX_ITEM_LIST_LENGTH": ("window",),
    "pooling_type": ("pooling",),
    "loss_type": ("loss",),
    "hidden_act": ("activation",),
    "dropout_prob": ("dropout",),
    "hidden_dropout_prob": ("dropout",),
    "n_layers": ("num_blocks", "num_layers"),
    "n_heads": ("num_heads",),
    "block_num": ("num_repeats",),
    "nv": ("num_vertical_filters",),
    "nh": ("num_horizontal_filters",),
    "k": ("num_neighbours",),
    "shrink": ("shrinkage",),
}
_LOSSES = {"BPR": "bpr", "CE": "ce", "TOP1": "top1"}
VALUES: Mapping[str, Mapping[str, str]] = {
    "pooling_type": {"average": "gate_avg", "max": "gate_max"},
    "pooling": {"average": "gate_avg"},
    "loss_type": _LOSSES,
    "loss": _LOSSES,
}


def own_name(name: str, known: Collection[str]) -> str:
    """The first of `known`, the model's settings, that RecBole calls `name`; `name` itself where there is none."""
    return next((own for own in NAMES.get(name, ()) if own in known and name not in known), name)


def own_value(name: str, value: Any) -> Any:
    """A value of the setting that is given as `name`, RecBole's name or the model's; other values stay as they are."""
    return VALUES.get(name, {}).get(value, value) if isinstance(value, str) else value


def own_settings(settings: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """`settings` in the words of the model whose settings are `known`.

    >>> own_settings({"embedding_size": "64", "loss": "BPR"}, ["embedding_dim", "loss"])
    {'embedding_dim': '64', 'loss': 'bpr'}

    Raises:
        ConfigError: a setting has two names in `settings`.
    """
    own: dict[str, Any] = {}
    names: dict[str, str] = {}  # under which they were given
    for name, value in settings.items():
        setting = own_name(name, known)
        if setting in own:
            other = names[setting] if name == setting else name
            raise ConfigError(f"{setting} is given twice, as {other} too; keep one")
        own[setting], names[setting] = own_value(name, value), name
    return own
