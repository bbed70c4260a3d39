"""The built-in models by name, and `find`, which also takes models from outside segue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, TypeVar

from segue.errors import ConfigError, did_you_mean
from segue.models import external
from segue.models.base.model import Model

if TYPE_CHECKING:
    from segue.models.ensembles.blend import Blend
    from segue.models.ensembles.rerank import Rerank

M = TypeVar("M", bound=Model)


class ModelClasses(MutableMapping[str, type[M]]):
    """The classes of models by name. Each is imported when it is asked for: a command imports those that it uses.

    Args:
        locations: where the class of each name is, as MODULE:CLASS; or a class that was added.
    """

    def __init__(self, locations: dict[str, str | type[M]]) -> None:
        self._locations = locations

    def __getitem__(self, name: str) -> type[M]:
        found = self._locations[name]
        kind: type[M] = resolve_name(found) if isinstance(found, str) else found
        return kind

    def __setitem__(self, name: str, kind: type[M]) -> None:
        self._locations[name] = kind

    def __delitem__(self, name: str) -> None:
        del self._locations[name]

    def __contains__(self, name: object) -> bool:  # the method of Mapping would import the class
        return name in self._locations

    def __iter__(self) -> Iterator[str]:
        return iter(self._locations)

    def __len__(self) -> int:
        return len(self._locations)


LOCATIONS: dict[str, str | type[Model]] = {
    "pop": "segue.models.popularity.pop:Pop",
    "s-pop": "segue.models.popularity.s_pop:SPop",
    "recent-pop": "segue.models.popularity.recent_pop:RecentPop",
    "item-knn": "segue.models.neighbours.item_knn:ItemKNN",
    "seq-knn": "segue.models.neighbours.seq_knn:SeqKNN",
    "learnt-counts": "segue.models.neighbours.learnt_counts:LearntCounts",
    "vs-knn": "segue.models.neighbours.vs_knn:VSKNN",
    "stan": "segue.models.neighbours.stan:STAN",
    "vstan": "segue.models.neighbours.stan:VSTAN",
    "ease": "segue.models.linear.ease:EASE",
    "slist": "segue.models.linear.slist:SLIST",
    "tale": "segue.models.linear.tale:TALE",
    "bprmf": "segue.models.factorization.bprmf:BPRMF",
    "neumf": "segue.models.factorization.neumf:NeuMF",
    "item2vec": "segue.models.factorization.item2vec:Item2Vec",
    "mp2vec": "segue.models.factorization.mp2vec:MP2Vec",
    "gru4rec": "segue.models.sequential.gru4rec:GRU4Rec",
    "gru4rec+": "segue.models.sequential.gru4rec:GRU4RecPlus",
    "coevent-mf": "segue.models.factorization.coevent_mf:CoEventMF",
    "gru": "segue.models.sequential.gru:GRU",
    "lstm4rec": "segue.models.sequential.gru:LSTM4Rec",
    "hm-lstm": "segue.models.sequential.hm_lstm.model:HMLSTM",
    "narm": "segue.models.sequential.narm:NARM",
    "stamp": "segue.models.sequential.stamp:STAMP",
    "sr-gnn": "segue.models.sequential.srgnn:SRGNN",
    "fpmc": "segue.models.sequential.fpmc:FPMC",
    "hgn": "segue.models.sequential.hgn:HGN",
    "hcrnn": "segue.models.sequential.hcrnn.model:HCRNN",
    "hcrnn-running": "segue.models.sequential.hcrnn.running:RunningHCRNN",
    "sasrec": "segue.models.sequential.sasrec:SASRec",
    "gsasrec": "segue.models.sequential.gsasrec:GSASRec",
    "esasrec": "segue.models.sequential.esasrec:ESASRec",
    "core": "segue.models.sequential.core:CORE",
    "bert4rec": "segue.models.sequential.bert4rec:BERT4Rec",
    "hstu": "segue.models.sequential.hstu:HSTU",
    "nextitnet": "segue.models.sequential.nextitnet:NextItNet",
    "caser": "segue.models.sequential.caser:Caser",
    "hybrid": "segue.models.hybrid.model:Hybrid",
    "global-mean": "segue.models.ratings.biases:GlobalMean",
    "user-mean": "segue.models.ratings.biases:UserMean",
    "item-mean": "segue.models.ratings.biases:ItemMean",
    "biases": "segue.models.ratings.biases:Biases",
    "mf": "segue.models.ratings.mf:MF",
    "timesvd++": "segue.models.ratings.timesvd.model:TimeSVD",
    "hievh": "segue.models.ratings.hievh:HieVH",
    "iarn": "segue.models.ratings.iarn.model:IARN",
}
MODELS: MutableMapping[str, type[Model]] = ModelClasses(LOCATIONS)

# models that consist of two trained models; they are not trained themselves
ENSEMBLES: Mapping[str, type[Blend | Rerank]] = ModelClasses(
    {"blend": "segue.models.ensembles.blend:Blend", "rerank": "segue.models.ensembles.rerank:Rerank"}
)


def find(name: str) -> type[Model]:
    """The model class that a name or reference stands for.

    Args:
        name: a name in `MODELS`; the name of an entry point in the group `segue.models`; or a class outside segue, as
            `./FILE.py:CLASS` or `package.module:CLASS`, which is then imported.

    Raises:
        ConfigError: there is no such model, or its class cannot be imported or used.
    """
    if name in MODELS:
        return MODELS[name]
    reserved = {*MODELS, *ENSEMBLES}
    if external.is_reference(name):
        return external.load_model_class(name, reserved)
    kind = external.load_installed(name, reserved)
    if kind is None:
        known = [*MODELS, *(other for other in external.installed() if other not in MODELS)]
        raise ConfigError(
            f"no model {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}; "
            f"a model of your own is given as {external.FORMS}"
        )
    return kind
