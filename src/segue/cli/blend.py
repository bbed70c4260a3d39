"""`segue blend`: two saved models made into one that ranks at least as well on validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.evaluate import protocol_of, result
from segue.cli.options import JsonFile, ReadingOptions, check_json, show, write_json
from segue.errors import ArtefactError, ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.serving.saved_model import SavedModel

DEFAULT = ReadingOptions()


def blend(
    first: Path,
    second: Path,
    *,
    data: Annotated[str, Parameter(metavar="DATA")],
    reading: ReadingOptions = DEFAULT,
    monitor: str = "ndcg@10",
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("models/blend"),
    json: JsonFile = None,
) -> None:
    """Blend two saved models: the weight is chosen on validation, the blend is tested once and saved.

    Parameters
    ----------
    first
        Folder of a saved model.
    second
        Folder of another, trained on the same log under the same protocol; it may be a blend.
    data
        The log they were trained on: a named data set, a file or a folder.
    monitor
        The validation metric that chooses the weight.
    out
        Folder of the saved blend.
    """
    from segue.evaluation.table import summary, table
    from segue.experiments.blend import about, choose
    from segue.models.ensembles.blend import Blend
    from segue.serving import saved_model

    for odd, why in ((first == second, second), (out in (first, second), out)):
        if odd:
            raise ConfigError(f"{why} is given twice; give two models, and another folder for their blend")
    check_json(json, reads=data)
    saved_model.check_target(out)
    parts = {folder: saved_model.load(folder) for folder in (first, second)}
    log = reading.load(data)
    protocol = _shared(parts, log)
    one, two = (part.model for part in parts.values())
    choice = choose(one, two, protocol.split(log), protocol, monitor=monitor)
    model = Blend(one, two, weight=choice.weight)
    results = [result(folder, part, log, protocol.ks) for folder, part in parts.items()]
    ranks = protocol.rank(model, protocol.split(log), "test")
    seconds = sum(found.seconds or 0.0 for found in results)
    results.append(replace(results[0], model=str(out), ranks=ranks, seconds=seconds))
    saved_model.save(model, log, out, **about([part.about for part in parts.values()], choice, results[-1]))
    show(table(results))
    best = choice.values[choice.weight]
    say(f"{first} counts {1 - choice.weight:g}, {second} {choice.weight:g}: {monitor} = {best:.4f} on validation")
    write_json(json, {**summary(results), "weights": choice.as_dict()})
    say(f"saved to {out}; next: segue recommend {out} --user {log.users.names([1])[0]}")


def _shared(parts: dict[Path, SavedModel], log: Log) -> Protocol:
    """The protocol that both were trained under; an `ArtefactError` where they may not be blended."""
    found = {folder: protocol_of(folder, part, log) for folder, part in parts.items()}
    (first, one), (second, two) = found.items()
    if one.fingerprint != two.fingerprint:
        raise ArtefactError(
            f"{first} and {second} cannot be blended: {one.name} ({one.fingerprint}) is the protocol of one, "
            f"{two.name} ({two.fingerprint}) of the other; train both under the same"
        )
    for folder, part in parts.items():
        if part.about["recipe"]["refit"]:
            raise ArtefactError(
                f"{folder}: was refitted on train and validation, so nothing is left to choose a weight by; train it "
                "without --refit"
            )
    return one
