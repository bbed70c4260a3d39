"""`segue fit`: fit a model on a whole log and save it, without measuring it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.estimate import check_estimate, show_estimate, time_so_far
from segue.cli.garbage_collection import paused_garbage_collection
from segue.cli.help import MODEL_GROUP, TRAINING_GROUP
from segue.cli.next_step import replaced_model, say_next
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.rerank import RERANK_DEFAULTS, RerankOptions
from segue.cli.options.training import MODEL_DEFAULTS, ModelOptions, TrainingOptions, make_experiment
from segue.cli.output import FIT_OUTPUT_DEFAULTS, FitOutputOptions, write_json_output
from segue.cli.saved_models import load_saved
from segue.cli.unread_columns import say_unread
from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment
    from segue.serving.saved_model import SavedModel

Like = Annotated[
    Path | None,
    Parameter(
        group=MODEL_GROUP,
        help="Folder of a saved model of the same name: its settings, its seed and the number of epochs that "
        "validation chose are used.",
    ),
]
Seed = Annotated[int | None, Parameter(group=TRAINING_GROUP, show_default=False)]


def fit(
    model: str,
    data: str,
    *,
    like: Like = None,
    settings: ModelOptions = MODEL_DEFAULTS,
    seed: Seed = None,
    rerank: RerankOptions = RERANK_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    output: FitOutputOptions = FIT_OUTPUT_DEFAULTS,
) -> None:
    """Fit a model on the whole log and save it, without measuring it.

    No data is held out, so no epoch can be chosen: a model that is trained by gradient descent has as many epochs as
    --like or its setting epochs says. The model is saved to models/MODEL-final.

    Args:
        model: Name of the model (`segue models` lists them), or a class of your own: ./FILE.py:CLASS or
            package.module:CLASS.
        data: A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter) or a folder.
        seed: Seed of the random numbers. The default is that of --like, or 0.
    """
    with paused_garbage_collection():
        from segue import distributed
        from segue.serving.saved_model import check_target, save, training_folder
        from segue.training.state import delete_training_files, kept

    distributed.init()
    if output.estimate:
        check_estimate(rerank.rerank)
    inputs = [*reading.paths(data), rerank.rerank, like, *source_files(model, *rerank.classes)]
    saved = None if like is None else load_saved(like, [model] if ":" in model else [])
    if seed is None:
        seed = 0 if saved is None else saved.about.get("training", {}).get("seed", 0)
    experiment = _fitted_experiment(model, settings, like, saved, seed)
    folder = output.out or Path("models") / f"{'-after-'.join(rerank.stage_names(experiment))}-final"
    check_target(folder)
    check_outputs({"--json": output.json}, folder, inputs=inputs)
    log = reading.load(data)
    experiment = replace(experiment, protocol=_protocol(rerank.stages(experiment), log, saved), monitor="")
    say_unread(reading, rerank.stages(experiment))
    if output.estimate:
        from segue.experiments.estimate import estimate_fit

        started = time_so_far()
        show_estimate(estimate_fit(experiment, log), started, output.json)
        return
    progress = training_folder(folder)
    with kept(progress):
        fitted, about = rerank.fit(experiment, log, progress)
        if distributed.process_rank() > 0:
            return
        replaced = replaced_model(folder, fitted, log)
        save(fitted, log, folder, training_log=progress / "final" / "training.jsonl", **about)
        delete_training_files(progress)
    write_json_output(output.json, about)
    say_next(folder, log, about, classes=[model, *rerank.classes], remarks=replaced)


def _fitted_experiment(
    model: str, options: ModelOptions, like: Path | None, saved: SavedModel | None, seed: int
) -> Experiment:
    """What is fitted: with the settings and epochs of the saved model, if there is one, changed by the options.

    Raises:
        ConfigError: an unknown model or setting, or the saved model is another one.
    """
    from segue.evaluation.protocol import Protocol
    from segue.models.registry import find

    training, protocol = TrainingOptions(seed=seed, final=True), Protocol.named("leave-one-out")
    if saved is None:
        return make_experiment(model, protocol, options, training)
    if options.preset is not None:
        raise ConfigError(f"--preset {options.preset}: the settings are those of {like}; change some with --set")
    if saved.model.name != (name := find(model).name):
        raise ConfigError(f"--like {like}: is a saved {saved.model.name}; give a saved {name}")
    best = saved.about.get("training", {}).get("best")
    epochs = {"epochs": best} if best else {}
    settings = {**saved.model.config.as_dict(), **epochs}
    return make_experiment(model, protocol, options, training, like=settings)


def _protocol(stages: Sequence[Experiment], log: Log, saved: SavedModel | None) -> Protocol:
    """The protocol whose rule about seen items `segue recommend` follows: of the saved model, or one for the log.

    It gives the time of the request to a stage that reads it.
    """
    from segue.evaluation.protocol import Protocol
    from segue.experiments.saved_models import stored_protocol
    from segue.models.registry import find

    if saved is not None and "experiment" in saved.about:
        protocol = stored_protocol(saved)
    else:
        protocol = Protocol.named("ratings") if find(stages[0].model).task == "rating" else Protocol.guess(log)
    if any(one.setting("time") == "request" for one in stages):
        return protocol.with_settings({"request_time": "known"})
    return protocol
