"""`segue evaluate`: saved models side by side, with intervals and paired tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.options import JsonFile, Reading, check_writable, show, write_json

DEFAULT = Reading()


def evaluate(
    *models: Path,
    data: str,
    reading: Reading = DEFAULT,
    k: Annotated[list[int] | None, Parameter(name=["-k"], consume_multiple=True, negative=())] = None,
    json: JsonFile = None,
) -> None:
    """Measure saved models on the test questions of the protocol that they were trained under.

    Parameters
    ----------
    models
        Folders of saved models.
    data
        The log they were trained on: a named data set, a file or a folder.
    k
        Cut-offs, such as -k 5 10 20.
    """
    from segue.checkpoint import load
    from segue.errors import ArtefactError, ConfigError
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import Result, summary, table

    if not models:
        raise ConfigError("which models? Give the folders that `segue run` saved, such as models/hgn")
    cuts = tuple(sorted(set(k or [10])))
    check_writable(json)
    saved = [(folder, load(folder)) for folder in models]
    log = reading.load(data)
    results = []
    for folder, model in saved:
        about = model.about
        if about["log"]["fingerprint"] != log.fingerprint:
            raise ArtefactError(
                f"{folder}: was trained on another log ({about['log']['name']}, fingerprint "
                f"{about['log']['fingerprint']}) than {log.name} ({log.fingerprint}); give the data and the reading "
                "options that it was trained with"
            )
        if "recipe" not in about:
            raise ArtefactError(f"{folder}: does not say which protocol it was trained under, so no test part is known")
        stored = {key: v for key, v in about["recipe"]["protocol"].items() if key != "fingerprint"}
        protocol = replace(Protocol.from_dict(stored), ks=cuts)
        ranks = protocol.rank(model.model, protocol.split(log), "test")
        seconds = about["training"]["seconds"]
        results.append(
            Result(
                model=str(folder),
                ranks=ranks,
                protocol=protocol,
                log=log.fingerprint,
                items=log.n_items,
                seconds=seconds,
            )
        )
    metrics = [f"{metric}@{cut}" for cut in cuts for metric in ("recall", "ndcg", "mrr")]
    show(table(results, metrics=metrics))
    write_json(json, summary(results, metrics=metrics))
