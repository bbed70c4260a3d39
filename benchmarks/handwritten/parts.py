"""`PARTS`: all hand-written parts by name."""

from __future__ import annotations

from functools import partial

from torch.nn import functional as F

from benchmarks.handwritten import layers, loops
from benchmarks.handwritten.part import Part
from benchmarks.handwritten.plain_layers import (
    plain_attention,
    plain_convolution,
    plain_cross_entropy,
    plain_embedding,
    plain_hcrnn,
    plain_sampled_loss,
)
from segue.models.base import ranking
from segue.models.factorization import bprmf
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.registry import find
from segue.models.sequential import narm, sasrec
from segue.models.sequential.hcrnn import model as hcrnn
from segue.nn import losses
from segue.nn.compiled.loops import gated_queries, neighbours, pair_counts, session_step, target_loss
from segue.nn.convolution import CausalConv1d

LARGE = {"bptt": "full", "window": 50, "optimizer": "adam", "num_negatives": 2048, "activation": "linear"}
SAMPLED = {"top1": losses.top1, "bpr-max": losses.bpr_max, "sampled-ce": losses.sampled_cross_entropy}
NEXTITNET = {"embedding_dim": 64, "window": 50, "dilations": (1, 4), "num_repeats": 5, "dropout": 0.0, "batch_size": 41}
HGN = find("hgn").presets["paper"]

PARTS: dict[str, Part] = {
    "softmax-loss": Part(
        module="segue.nn.softmax_loss",
        plain="cross_entropy(query @ items.T, target)",
        layer=layers.softmax_layer,
        model=("gru", {"loss": "ce", "layer_norm": "none", "window": 50, "batch_size": 41}, 17_745),
        replaced=((ranking, "all_items_cross_entropy", plain_cross_entropy),),
    ),
    **{
        f"sampled-loss-{name}": Part(
            module="segue.nn.sampled_loss",
            plain="loss(query . positive, query @ negative.T)",
            layer=partial(layers.sampled_layer, name, loss),
            model=("gru4rec", {**LARGE, "loss": name, "logq_correction": False, "batch_size": 64}, 3416),
            replaced=((ranking, "sampled_loss", partial(plain_sampled_loss, loss)),),
        )
        for name, loss in SAMPLED.items()
    },
    "additive-attention": Part(
        module="segue.nn.attention",
        plain="sigmoid(query[:, :, None] + key[:, None]) @ v",
        layer=layers.attention_layer,
        model=("narm", {"batch_size": 41}, 1682),
        replaced=((narm, "additive_attention", plain_attention),),
    ),
    "hcrnn-cell": Part(
        module="segue.models.sequential.hcrnn.cell",
        plain="a loop over the steps under autograd",
        layer=layers.hcrnn_layer,
        model=("hcrnn", {"batch_size": 512, "window": 60}, 1682),
        replaced=((hcrnn, "run_cell", plain_hcrnn),),
    ),
    "embedding": Part(
        module="segue.nn.embedding",
        plain="torch.nn.functional.embedding",
        layer=layers.embedding_layer,
        model=("bprmf", {}, 35_118),
        replaced=((bprmf, "embedding", plain_embedding),),
    ),
    "dropout": Part(
        module="segue.nn.dropout",
        plain="torch.nn.functional.dropout",
        layer=layers.dropout_layer,
        model=("sasrec", {"loss": "bce", "window": 50, "batch_size": 128, "dropout": 0.5}, 3416),
        replaced=((sasrec, "dropout", F.dropout),),
    ),
    "causal-conv1d": Part(
        module="segue.nn.convolution",
        plain="torch.nn.Conv1d, padded on the left",
        layer=layers.convolution_layer,
        model=("nextitnet", NEXTITNET, 3416),
        replaced=((CausalConv1d, "forward", plain_convolution),),
    ),
    "topk": Part(module="segue.nn.topk", plain="torch.topk (ties in any order)", layer=layers.topk_layer),
    "compiled-topk": Part(module="segue.nn.compiled.topk", plain="the same in torch", layer=loops.compiled_topk_layer),
    "sparse-row-sums": Part(
        module="segue.nn.compiled.row_sums", plain="a product of sparse matrices in scipy", layer=loops.row_sums_layer
    ),
    "row-sums-gradient": Part(
        module="segue.nn.sparse",
        plain="all entries added by torch, under autograd",
        layer=loops.row_sums_gradient_layer,
    ),
    "pair-counts": Part(
        module="segue.nn.compiled.pair_counts",
        plain="all pairs in numpy, and a product of sparse matrices",
        layer=partial(loops.fit_layer, SeqKNN, pair_counts),
    ),
    "neighbours": Part(
        module="segue.nn.compiled.neighbours",
        plain="a product of sparse matrices, and its sorted entries",
        layer=partial(loops.fit_layer, ItemKNN, neighbours),
    ),
    "gates": Part(
        module="segue.nn.compiled.gates",
        plain="the equations of HGN in torch, under autograd",
        layer=partial(loops.training_loop_layer, {"batch_size": 4096}, gated_queries),
        model=("hgn", HGN, 3416),
        loop=gated_queries,
    ),
    "target-loss": Part(
        module="segue.nn.compiled.target_loss",
        plain="logsigmoid(query . target - query . negative)",
        layer=partial(loops.training_loop_layer, {"batch_size": 4096, "window_encoder": "none"}, target_loss),
        model=("hgn", {**HGN, "window_encoder": "none"}, 3416),
        loop=target_loss,
    ),
    "session-step": Part(
        module="segue.nn.compiled.session_step",
        plain="the equations of GRU4Rec in torch, under autograd",
        layer=loops.session_step_layer,
        model=("gru4rec", loops.SESSIONS, 3416),
        loop=session_step,
    ),
    "pairwise-sgd": Part(
        module="segue.nn.compiled.pairwise_sgd",
        plain="a loop over the triples in numpy",
        layer=loops.pairwise_sgd_layer,
    ),
    "adam-import": Part(module="segue.nn.optim", plain="import and make torch.optim.Adam", layer=layers.adam_import),
}
