"""`segue evaluate`: saved models side by side, with intervals and paired tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli import breakdown_options as groups
from segue.cli.options import CutOffs, JsonFile, ReadingOptions, check_json, cut_offs, show, write_json
from segue.cli.protocol_options import ProtocolOptions
from segue.errors import ArtefactError, ConfigError

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import Result
    from segue.serving.saved_model import SavedModel

DEFAULT, AS_THEY_ARE = ReadingOptions(), ProtocolOptions()


def evaluate(
    *models: Path,
    data: Annotated[str, Parameter(metavar="DATA")],
    reading: ReadingOptions = DEFAULT,
    questions: ProtocolOptions = AS_THEY_ARE,
    by: groups.ByOption = None,
    picture: groups.Picture = None,
    k: CutOffs = None,
    json: JsonFile = None,
) -> None:
    """Measure saved models on the test questions of the protocol that they were trained under, or on some of these.

    Parameters
    ----------
    models
        Folders of saved models.
    data
        The log they were trained on: a named data set, a file or a folder.
    """
    from segue.evaluation.table import summary, table
    from segue.serving.saved_model import load

    cuts = cut_offs(k)
    if not models:
        raise ConfigError("which models? Give the folders that `segue run` saved, such as models/hgn")
    twice = [folder for folder in models if models.count(folder) > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice; a table shows each model once")
    check_json(json, reads=data)
    groups.check(by, picture)
    saved = {folder: load(folder) for folder in models}
    log = reading.load(data)
    results = [result(folder, one, log, cuts, questions) for folder, one in saved.items()]
    protocol = results[0].protocol
    metrics = protocol.shown(cuts)
    show(table(results, metrics=metrics))
    facts = summary(results, metrics=metrics)
    if by is not None:
        refit = any(one.about["recipe"]["refit"] for one in saved.values())
        split = protocol.split(log)
        facts[f"by {by}"] = groups.broken_down(results, metrics, split, by=by, refit=refit, picture=picture)
    write_json(json, facts)


def result(
    folder: Path, saved: SavedModel, log: Log, cuts: tuple[int, ...], questions: ProtocolOptions = AS_THEY_ARE
) -> Result:
    """The test questions of the protocol that the model was trained under, asked of it."""
    from segue.data.diagnostics.leakage import leakage_warnings
    from segue.evaluation.table import Result

    about = saved.about
    protocol = questions.of(replace(protocol_of(folder, saved, log), ks=cuts))
    split, refit = protocol.split(log), about["recipe"]["refit"]
    return Result(
        model=str(folder),
        ranks=protocol.ask(saved.model, split, "test"),
        protocol=protocol,
        log=split.log.fingerprint,
        items=log.num_items,
        counts=(split.train_valid if refit else split.train).counts(),
        seconds=about["training"]["seconds"],
        warnings=leakage_warnings(split, refit=refit),
    )


def protocol_of(folder: Path, saved: SavedModel, log: Log) -> Protocol:
    """The protocol that the model was trained under, if `log` is what it was trained on."""
    from segue.evaluation.protocol import Protocol

    about = saved.about
    if about["log"]["fingerprint"] != log.fingerprint:
        raise ArtefactError(
            f"{folder}: was trained on another log ({about['log']['name']}, fingerprint "
            f"{about['log']['fingerprint']}) than {log.name} ({log.fingerprint}); give the data and the reading "
            "options that it was trained with"
        )
    if "recipe" not in about:
        raise ArtefactError(f"{folder}: does not say which protocol it was trained under, so no test part is known")
    return Protocol.from_dict({k: v for k, v in about["recipe"]["protocol"].items() if k != "fingerprint"})
