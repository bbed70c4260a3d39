"""One paper, one file. `MODELS` names them all."""

from segue.errors import ConfigError, did_you_mean
from segue.models.base.model import Model
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
from segue.models.ratings.timesvd import TimeSVD
from segue.models.sequential.caser import Caser
from segue.models.sequential.gru import GRU, LSTM4Rec
from segue.models.sequential.gru4rec import GRU4Rec, GRU4RecPlus
from segue.models.sequential.hcrnn.model import HCRNN, RunningHCRNN
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


def find(name: str) -> type[Model]:
    """The model called `name`."""
    if name not in MODELS:
        raise ConfigError(f"no model {name!r}{did_you_mean(name, MODELS)}; there are: {', '.join(MODELS)}")
    return MODELS[name]
