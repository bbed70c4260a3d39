"""One paper, one file. `MODELS` names them all."""

from segue.errors import ConfigError, did_you_mean
from segue.model import Model
from segue.models.bprmf import BPRMF
from segue.models.hgn import HGN
from segue.models.item_knn import ItemKNN
from segue.models.pop import Pop

MODELS: dict[str, type[Model]] = {
    "pop": Pop,
    "item-knn": ItemKNN,
    "bprmf": BPRMF,
    "hgn": HGN,
}


def find(name: str) -> type[Model]:
    """The model called `name`."""
    if name not in MODELS:
        raise ConfigError(f"no model {name!r}{did_you_mean(name, MODELS)}; there are: {', '.join(MODELS)}")
    return MODELS[name]
