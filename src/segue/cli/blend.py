"""`segue blend`: combine two saved models into one that ranks at least as well on the validation data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.next_step import replaced_model, say_next
from segue.cli.options.protocol import EvaluationOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, finish
from segue.cli.saved_models import ModelClasses, load_saved
from segue.errors import ArtefactError, ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.serving.saved_model import SavedModel


def blend(
    first: Path,
    second: Path,
    *,
    data: Annotated[str, Parameter(metavar="DATA")],
    model_class: ModelClasses = (),
    monitor: str = "ndcg@10",
    reading: ReadingOptions = READING_DEFAULTS,
    output: OutputOptions = OUTPUT_DEFAULTS,
) -> None:
    """Combine two saved models: choose their weights on the validation data, test the blend once, and save it.

    The blend is saved to models/blend.

    Args:
        first: Folder of a saved model.
        second: Folder of another one, trained on the same log under the same protocol. Both may be blends.
        data: The log that they were trained on: a named data set, a file or a folder.
        monitor: Validation metric that chooses the weights.
    """
    from segue.experiments.blend import about_blend, blended_result, select_weight
    from segue.experiments.saved_models import evaluate_saved, stored_protocol
    from segue.models.ensembles.blend import Blend
    from segue.serving.saved_model import check_target, save

    folder = output.out or Path("models/blend")
    if first.resolve() == second.resolve():
        raise ConfigError(f"{second} is given twice; give two models")
    inputs = [*reading.paths(data), first, second, *source_files(*model_class)]
    check_target(folder)
    check_outputs({"--json": output.json}, folder, inputs=inputs)
    parts = {path: load_saved(path, model_class) for path in (first, second)}
    for part in parts.values():
        if "experiment" in part.about:
            stored_protocol(part).check_metric(monitor)
    log = reading.load(data)
    protocol = _shared_protocol(parts, log)
    one, two = (part.model for part in parts.values())
    selection = select_weight(one, two, protocol.split(log), protocol, monitor=monitor)
    model = Blend(one, two, weight=selection.weight)
    options = EvaluationOptions(k=list(protocol.cut_offs))
    results = [evaluate_saved(part, log, adapt=options.adapt) for part in parts.values()]
    results.append(blended_result(results, model, protocol.split(log), name=str(folder)))
    about = about_blend([part.about for part in parts.values()], selection, results[-1])
    replaced = replaced_model(folder, model, log)
    save(model, log, folder, **about)
    best = selection.values[selection.weight]
    say(
        f"weights: {first} {1 - selection.weight:g}, {second} {selection.weight:g}; {monitor} on validation: {best:.4f}"
    )
    finish(results, facts={"weights": selection.as_dict()}, json=output.json)
    say_next(folder, log, about, classes=model_class, remarks=replaced)


def _shared_protocol(parts: dict[Path, SavedModel], log: Log) -> Protocol:
    """The protocol that both models were trained under.

    Raises:
        ArtefactError: their protocols differ, or one of them was trained on the validation data.
    """
    from segue.evaluation.protocol import differences
    from segue.experiments.saved_models import check_not_refitted, protocol_on

    protocols = {folder: protocol_on(part, log) for folder, part in parts.items()}
    (first, one), (second, two) = protocols.items()
    if one.fingerprint != two.fingerprint:
        raise ArtefactError(
            f"{first} and {second} cannot be blended: their protocols are {one.name} ({one.fingerprint}) and "
            f"{two.name} ({two.fingerprint}); they differ in {differences(one, two)}; "
            "train both under the same protocol"
        )
    for part in parts.values():
        check_not_refitted(part, "a weight")
    return one
