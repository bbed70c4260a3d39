"""One paper, one file. `MODELS` names them all."""

from segue.errors import ConfigError, did_you_mean
from segue.model import Model
from segue.models.biases import Biases, GlobalMean, ItemMean, UserMean
from segue.models.bprmf import BPRMF
from segue.models.caser import Caser
from segue.models.coevent_mf import CoEventMF
from segue.models.gru import GRU, LSTM4Rec
from segue.models.gru4rec import GRU4Rec, GRU4RecPlus
from segue.models.hcrnn import HCRNN, RunningHCRNN
from segue.models.hgn import HGN
from segue.models.hievh import HieVH
from segue.models.hm_lstm import HMLSTM
from segue.models.iarn import IARN
from segue.models.item2vec import Item2Vec
from segue.models.item_knn import ItemKNN
from segue.models.mf import MF
from segue.models.mp2vec import MP2Vec
from segue.models.narm import NARM
from segue.models.neumf import NeuMF
from segue.models.nextitnet import NextItNet
from segue.models.pop import Pop
from segue.models.recent_pop import RecentPop
from segue.models.s_pop import SPop
from segue.models.sasrec import SASRec
from segue.models.seq_knn import SeqKNN
from segue.models.stamp import STAMP
from segue.models.timesvd import TimeSVD
from segue.models.vs_knn import VSKNN

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
