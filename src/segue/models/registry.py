"""The built-in models by name, and `find`, which also takes models from outside segue."""

from segue.errors import ConfigError, did_you_mean
from segue.models import external
from segue.models.base.model import Model
from segue.models.ensembles.blend import Blend
from segue.models.ensembles.rerank import Rerank
from segue.models.factorization.bprmf import BPRMF
from segue.models.factorization.coevent_mf import CoEventMF
from segue.models.factorization.item2vec import Item2Vec
from segue.models.factorization.mp2vec import MP2Vec
from segue.models.factorization.neumf import NeuMF
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.neighbours.vs_knn import VSKNN
from segue.models.popularity.pop import Pop
from segue.models.popularity.recent_pop import RecentPop
from segue.models.popularity.s_pop import SPop
from segue.models.ratings.biases import Biases, GlobalMean, ItemMean, UserMean
from segue.models.ratings.hievh import HieVH
from segue.models.ratings.iarn.model import IARN
from segue.models.ratings.mf import MF
from segue.models.ratings.timesvd.model import TimeSVD
from segue.models.sequential.caser import Caser
from segue.models.sequential.gru import GRU, LSTM4Rec
from segue.models.sequential.gru4rec import GRU4Rec, GRU4RecPlus
from segue.models.sequential.hcrnn.model import HCRNN
from segue.models.sequential.hcrnn.running import RunningHCRNN
from segue.models.sequential.hgn import HGN
from segue.models.sequential.hm_lstm.model import HMLSTM
from segue.models.sequential.narm import NARM
from segue.models.sequential.nextitnet import NextItNet
from segue.models.sequential.sasrec import SASRec
from segue.models.sequential.stamp import STAMP

MODELS: dict[str, type[Model]] = {
    "pop": Pop,
    "s-pop": SPop,
    "recent-pop": RecentPop,
    "item-knn": ItemKNN,
    "seq-knn": SeqKNN,
    "vs-knn": VSKNN,
    "bprmf": BPRMF,
    "neumf": NeuMF,
    "item2vec": Item2Vec,
    "mp2vec": MP2Vec,
    "gru4rec": GRU4Rec,
    "gru4rec+": GRU4RecPlus,
    "coevent-mf": CoEventMF,
    "gru": GRU,
    "lstm4rec": LSTM4Rec,
    "hm-lstm": HMLSTM,
    "narm": NARM,
    "stamp": STAMP,
    "hgn": HGN,
    "hcrnn": HCRNN,
    "hcrnn-running": RunningHCRNN,
    "sasrec": SASRec,
    "nextitnet": NextItNet,
    "caser": Caser,
    "global-mean": GlobalMean,
    "user-mean": UserMean,
    "item-mean": ItemMean,
    "biases": Biases,
    "mf": MF,
    "timesvd++": TimeSVD,
    "hievh": HieVH,
    "iarn": IARN,
}

# models that consist of two trained models; they are not trained themselves
ENSEMBLES: dict[str, type[Blend] | type[Rerank]] = {"blend": Blend, "rerank": Rerank}


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
