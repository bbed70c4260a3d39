"""`segue export`: the vectors of a saved model for other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.help import OUTPUT_GROUP
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ConfigError
from segue.reporting.console import say


def export(
    model: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], group=OUTPUT_GROUP)],
    onnx: Annotated[bool, Parameter(negative="--no-onnx")] = True,
    length: int = 50,
    model_class: ModelClasses = (),
) -> None:
    """Write the item vectors of a saved model, and its query network as ONNX.

    The score of an item is the dot product of its vector and the query. The answers of the network are compared with
    those of the model before it is kept. Models whose scores are no dot products have no vectors.

    Args:
        model: Folder of the saved model.
        out: Folder that is written: items.parquet, item_vectors.npy, users.parquet, query.onnx and export.json.
        onnx: Write the query network, too. It needs the extra export.
        length: Number of newest items of a history that the network takes, if the model reads whole histories.
    """
    from segue.folders import check_folder
    from segue.serving.export import check_onnx, export_model

    if not 1 <= length <= 10_000:
        raise ConfigError(f"--length {length}: must be from 1 to 10,000")
    check_outputs({}, out, inputs=[model, *source_files(*model_class)])
    check_folder(out, "export")
    if onnx:
        check_onnx()
    done = export_model(load_saved(model, model_class), out, onnx=onnx, length=length)
    network = f"no query.onnx: {done.why_not}" if done.why_not else "query.onnx answers as the model does"
    say(f"{done.items:,} item vectors of {done.dim} numbers are in {out}; {network}")
