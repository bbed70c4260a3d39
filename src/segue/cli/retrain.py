"""`segue retrain`: train a served model anew on everything that its store holds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.output import write_json_output
from segue.cli.saved_models import ModelClasses, load_saved
from segue.cli.serve import DEFAULT_STORE
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.event_store.store import Store
    from segue.service.retraining.retrain import Retrained

NOT_LIVE = 1  # exit code: the new model was trained, and the old one stays


def retrain(
    model: Path,
    *,
    store: str = DEFAULT_STORE,
    always: Annotated[bool, Parameter(negative=())] = False,
    model_class: ModelClasses = (),
    reading: ReadingOptions = READING_DEFAULTS,
    json: Path | None = None,
) -> int:
    """Train a saved model anew on everything that a store holds, and let it answer if it is no worse.

    The experiment is that of the saved model: its settings, seed, protocol and --final. The old and the new model are
    compared on the instances of the test that the old one was not trained on. There must be at least 100 of them, of
    20 users. If the new model is at least as good, or the whole 95% interval of the difference lies above a loss of 5%,
    it takes the folder of the old one, which is kept as MODEL.previous, and the services of the store load it within a
    second or two. Otherwise it is saved as MODEL.rejected, nothing else changes, and the exit code is 1.

    Give the reading options of the first training again, such as --where event=purchase. The events that a service has
    copied from the log of the model, whose type is "imported", stay with them.

    Args:
        model: Folder of the saved model.
        store: Where the service keeps its events: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.
        always: Let the new model answer even if it is worse.
        json: Write the figures, and what became of the model, to this JSON file.
    """
    try:
        from segue.event_store.store import open_store
        from segue.service.deployment.model_folders import PREVIOUS, REJECTED
        from segue.service.retraining.promotion import promote, reject
        from segue.service.retraining.retrain import num_missing, with_old_metadata
        from segue.service.retraining.retrain import retrain as train_anew
    except ImportError as error:
        raise ConfigError(f'retraining needs the extra serve: pip install "segue[serve]" ({error})') from error
    from segue.serving.saved_model import check_target, training_folder
    from segue.training.state import delete_training_files, kept

    check_outputs({"--json": json}, None, inputs=[model, store, *source_files(*model_class)])
    saved = load_saved(model, model_class)
    for ending in ("", PREVIOUS, REJECTED):
        check_target(model.with_name(model.name + ending))
    opened, progress = open_store(store, create=False), training_folder(model)
    with closing(opened), kept(progress):
        newest = opened.events.newest_seq()
        log = _with_imported(reading, opened).load(store)
        joined = opened.sessions.joined()
        log = with_old_metadata(log, saved.log, joined, opened.items.by_name())
        if missing := num_missing(saved, log, joined):
            say(f"{missing:,} of the {len(saved.log):,} events that {model} was saved with are not among them")
        reference = next((one for one in model_class if ":" in one), "")
        done = train_anew(saved, log, joined, reference=reference, folder=progress)
        about = {**done.outcome.about(), "store": {"name": opened.name, "id": opened.make_id(), "newest_seq": newest}}
        goes_live = always or done.is_no_worse
        if goes_live:
            live = promote(model, done.outcome.model, log, about, opened.deployments)
            say(f"{_compared(done)}; {model} is the new model, {live}; the old one is {model}.previous")
        else:
            folder = reject(model, done.outcome.model, log, about)
            say(f"{_compared(done)}; {model} stays; the new model is {folder}, and --always lets it answer")
        delete_training_files(progress)
    write_json_output(json, _content(done, log, goes_live))
    return 0 if goes_live else NOT_LIVE


def _with_imported(reading: ReadingOptions, store: Store) -> ReadingOptions:
    """Reading options under which the imported events stay: they are those that the old model was trained on."""
    from segue.event_store.event import IMPORTED

    where, types = reading.where or [], reading.events or []
    selects = any(word.startswith("event=") for word in where)
    if not (selects or types) or not store.imports.has_events():
        return reading
    return replace(
        reading,
        where=[*where, f"event={IMPORTED}"] if selects else reading.where,
        events=[*types, IMPORTED] if types and IMPORTED not in types else reading.events,
    )


def _compared(done: Retrained) -> str:
    if done.comparison is None:
        return "the store has no test instance that the old model was not trained on, so the two cannot be compared"
    return done.comparison.describe()


def _content(done: Retrained, log: Log, goes_live: bool) -> dict[str, Any]:
    comparison = None if done.comparison is None else vars(done.comparison)
    return {"live": goes_live, "events": len(log), "comparison": comparison, **done.outcome.about()}
