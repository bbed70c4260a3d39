"""`LoadedModel`: a saved model in memory, ready to answer: item vectors are computed and names are prepared once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from segue.data.event_features import Features, encode_features
from segue.data.log import Ids, Log, Mask
from segue.data.time_units import from_microseconds
from segue.errors import require
from segue.event_store.clock import now
from segue.models.base.model import Model
from segue.nn.compiled.loops import best_columns, row_sums
from segue.service.batcher import Batcher
from segue.service.models.event_learner import make_learner
from segue.service.models.live_states import LiveStates
from segue.service.users.history import History, Origin
from segue.serving.approximate_finder import ApproximateFinder, make_finder
from segue.serving.erase_users import log_without
from segue.serving.index_levels import IndexFigures
from segue.serving.model_facts import fingerprint_of
from segue.serving.query import Query
from segue.serving.saved_model import SavedModel, load
from segue.serving.score_rules import ScoreRules
from segue.serving.similar import SimilarItemFinder
from segue.serving.top_items import TopItems

MAX_ITEMS = 1_000  # of an answer
NONE = np.array([], np.int64)
USUAL_ITEMS = 100  # longer lists, such as whole rankings, are found in batches of their own
WARM_UP_ROWS = (1, 2, 16)  # batches that are scored before a model goes live


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """The best items of one query.

    Attributes:
        ids: (K,) ids of the items, best first.
        scores: (K,) their scores; with a fallback, numbers of events.
        fallback: why popularity answered; None where the model did.
    """

    ids: list[int]
    scores: list[float]
    fallback: str | None


@dataclass(frozen=True, eq=False, slots=True)
class _Question:
    query: Query
    k: int
    history: History


@dataclass(frozen=True)
class Loading:
    """How saved models are loaded.

    Attributes:
        classes: classes outside segue that a saved model may be an instance of.
        approximate: whether an index of the items is used where it is faster; see `make_finder`.
        update: whether models that can learn each event of a store at once; see `EventLearner`.
    """

    classes: tuple[type[Model], ...] = ()
    approximate: bool = False
    update: bool = True


BY_DEFAULT = Loading()


class LoadedModel:
    """A saved model that answers questions.

    Attributes:
        name: of its folder.
        saved: the saved model.
        token_ids: the id of each item, by its name.
        tokens: the name of each item, by its id; entry 0 is empty.
        titles: the title of each item, by its id.
        states: the hidden states of users; None if the model keeps none.
        learner: learns the events of a store; None if the model learns none at once.
    """

    def __init__(self, name: str, saved: SavedModel, loading: Loading = BY_DEFAULT) -> None:
        self.name, self.saved = name, saved
        log = saved.log
        self.tokens = ["", *(str(token) for token in log.items.tokens)]
        self.titles = ["", *(str(title) for title in log.titles(np.arange(1, log.num_items + 1)))]
        self.token_ids = {token: index for index, token in enumerate(self.tokens) if index}
        self._users = _ids_of_users(log)
        self._item_ids: WeakKeyDictionary[Origin, tuple[int, Ids]] = WeakKeyDictionary()  # of `count` events
        self._time_unit = _time_unit(saved)
        self._type_ids = {name: number for number, name in enumerate(log.event_types, 1)}
        self._finder = make_finder(saved.model, log, approximate=loading.approximate)
        live = saved.model.keeps_state and self._finder.takes_query_vectors
        self.states = LiveStates(saved.model) if live else None
        self.learner = make_learner(saved, self.token_ids) if loading.update else None
        self._batches: Batcher[_Question, Answer] = Batcher(self._answer, self._finder.block_rows)

    @classmethod
    def load(cls, folder: Path, loading: Loading = BY_DEFAULT, name: str = "") -> LoadedModel:
        """Verify a saved model, load it, and score a few batches, so that its first answer is as fast as the others.

        Args:
            folder: of the saved model.
            loading: how.
            name: of the model; by default that of the folder.

        Raises:
            ArtefactError: the folder is damaged, incomplete or no saved model.
            ConfigError: the extra `ann` is missing.
            TrainingError: the model scores NaN.
        """
        loaded = cls(name or folder.resolve().name, load(folder, models=loading.classes), loading)
        some = list(range(1, min(4, len(loaded.tokens))))
        for loop in (row_sums, best_columns):
            loop.load_at_first_use()  # in the first batch, not in a request
        for rows in WARM_UP_ROWS:
            loaded._answer([_Question(Query(0, np.array(some, np.int64)), 10, History())] * rows)
        return loaded

    @property
    def model(self) -> Model:
        """The model."""
        return self.saved.model

    @property
    def num_items(self) -> int:
        """I, the number of items that the model knows."""
        return len(self.tokens) - 1

    @property
    def index(self) -> IndexFigures | None:
        """What was measured of the index of its items; None without one."""
        return self._finder.figures if isinstance(self._finder, ApproximateFinder) else None

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that identify weights, names, histories and description: see `fingerprint_of`."""
        return fingerprint_of(self.saved.about)

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches there were of each number of questions."""
        return self._batches.sizes

    @cached_property
    def similar(self) -> SimilarItemFinder:
        """Finds similar items.

        Raises:
            ConfigError: the model compares no items.
        """
        return SimilarItemFinder(self.saved)

    def known(self, names: Sequence[str]) -> tuple[Ids, list[str]]:
        """The ids of the items that the model knows, in their order, and the names that it does not know."""
        get = self.token_ids.get
        ids = [get(name, 0) for name in names]
        if 0 not in ids:
            return np.array(ids, np.int64), []
        unknown = [name for name, index in zip(names, ids, strict=True) if index == 0]
        return np.array([index for index in ids if index], np.int64), unknown

    def item_ids(self, history: History) -> Ids:
        """(P,) the ids of the items of a history, 0 for those that the model does not know; each is looked up once."""
        get = self.token_ids.get
        if not history.count:
            return np.array([get(name, 0) for name in history.items], np.int64)
        count, ids = self._item_ids.get(history.origin, (0, NONE))
        new = history.count - count
        if not 0 <= new <= len(history):
            new, ids = len(history), NONE
        if new:
            ids = np.append(ids, [get(name, 0) for name in history.items[-new:]])[-len(history) :]
            self._item_ids[history.origin] = history.count, ids
        return ids

    def read(self, history: History) -> Ids:
        """The ids of the items of a history that the model knows."""
        ids = self.item_ids(history)
        return ids if ids.all() else ids[ids > 0]

    def knows_user(self, name: str) -> bool:
        """Whether the model was trained on events of a user."""
        return name in self._users

    def user_names(self) -> list[str]:
        """The users whom the model was trained on."""
        return list(self._users)

    async def forget(self, erased: Mapping[str, int | None]) -> None:
        """Drop names and histories of users from memory; see `segue.serving.erase_users`.

        A thread makes the log without them, and requests are answered meanwhile.
        """
        log, users = await asyncio.to_thread(_log_and_users_without, self.saved.log, erased)
        self.saved, self._users = replace(self.saved, log=log), users
        self.__dict__.pop("similar", None)  # it holds the log

    async def ask(
        self,
        user: str | None,
        history: History,
        *,
        k: int = 10,
        exclude_seen: bool | None = None,
        hidden: Ids | None = None,
        rules: ScoreRules | None = None,
    ) -> Answer:
        """The best items for a user with a history.

        Args:
            user: name of the user; None for an anonymous one.
            history: what the user did; items that the model does not know are left out.
            k: number of items.
            exclude_seen: whether items of the history are left out; None for the rule of the model.
            hidden: ids of items that may not be recommended.
            rules: further ones, and boosts.

        Raises:
            TrainingError: the model scores NaN.
        """
        query = self.query(user, history, hidden=hidden, exclude_seen=exclude_seen, rules=rules)
        return await self._batches.ask(_Question(query, k, history))

    def query(
        self,
        user: str | None,
        history: History,
        *,
        hidden: Ids | None = None,
        exclude_seen: bool | None = None,
        rules: ScoreRules | None = None,
    ) -> Query:
        """A user and a history as ids, and what may be recommended; the arguments are those of `ask`."""
        items = self.read(history)
        times, time = self._times(history)
        reason = None
        if not len(items):
            reason = "no item of the history is known to the model" if len(history) else "the history is empty"
        return Query(
            user=0 if user is None else self._users.get(user, 0),
            items=items,
            times=times,
            types=self._types(history),
            features=self._features(history),
            time=time,
            empty_reason=reason,
            hidden=hidden,
            exclude_seen=exclude_seen,
            rules=rules,
        )

    def _times(self, history: History) -> tuple[Ids | None, int | None]:
        """The times of the events that the model knows, and of this request, in the unit of the model's log.

        None for a model that reads no times, and for the items that a request brought: they count as of now.
        """
        if self._time_unit is None:
            return None, None
        known = history.order[self.item_ids(history) > 0, 0] if len(history.order) else None
        times = None if known is None else from_microseconds(known, self._time_unit)
        return times, from_microseconds(now(), self._time_unit)

    def _types(self, history: History) -> Ids | None:
        """The types of the events that the model knows, 0 for those that it does not know.

        None for a model that reads none, and for the items that a request brought: their types are unknown.
        """
        if not (self.model.reads_event_types and len(history.types)):
            return None
        ids = np.array([self._type_ids.get(name, 0) for name in history.types], np.int64)
        return ids[self.item_ids(history) > 0]

    def _features(self, history: History) -> Features | None:
        """The features of the events that the model knows; NaN for those that it does not know.

        None for a model that reads none, and for the items that a request brought: their features are unknown.
        """
        if not (self.model.reads_event_features and len(history.features)):
            return None
        events = [one or {} for one in history.features]
        return encode_features(self.saved.log.event_feature_columns, events, strict=False)[self.item_ids(history) > 0]

    def leaves_out_seen(self, exclude_seen: bool | None) -> bool:
        """Whether items of the history are left out; None for the rule of the model."""
        return self._finder.exclude_seen if exclude_seen is None else exclude_seen

    def _answer(self, questions: Sequence[_Question]) -> list[Answer]:
        """The answers to a batch: apart those to users whose states are kept, and those with more items than usual."""
        kinds: dict[tuple[bool, bool], list[int]] = {}
        for place, one in enumerate(questions):
            kinds.setdefault((self._is_live(one), one.k > USUAL_ITEMS), []).append(place)
        answers: dict[int, Answer] = {}
        for (is_live, _), places in kinds.items():
            chosen = [questions[place] for place in places]
            answers |= zip(places, self._answer_live(chosen) if is_live else self._answer_by(chosen), strict=True)
        return [answers[place] for place in range(len(questions))]

    def _answer_live(self, questions: Sequence[_Question]) -> list[Answer]:
        assert self.states is not None
        vectors = self.states.query_vectors([(one.history, self.item_ids(one.history)) for one in questions])
        return self._answer_by(questions, lambda queries, k: self._finder.find_nearest(queries, vectors, k))

    def _is_live(self, question: _Question) -> bool:
        return self.states is not None and bool(question.history.user) and self.states.can_read(question.query.items)

    def _answer_by(
        self, questions: Sequence[_Question], find: Callable[[Sequence[Query], int], TopItems] | None = None
    ) -> list[Answer]:
        top = (find or self._finder.find)([one.query for one in questions], max(one.k for one in questions))
        answers = []
        rows = zip(questions, top.items.tolist(), top.scores.tolist(), top.fallback, strict=True)
        for question, ids, scores, fallback in rows:
            found = min(question.k, sum(map(bool, ids)))
            answers.append(Answer(ids[:found], scores[:found], fallback))
        return answers

    def hidden_ids(self, allowed: Mask) -> Ids | None:
        """The ids of the items that a mask (I + 1,) does not allow; None if it allows all."""
        hidden = np.flatnonzero(~allowed)
        return hidden[hidden > 0] if len(hidden) else None


def _time_unit(saved: SavedModel) -> str | None:
    """The unit of the times that the model reads, or that tell its sessions apart; None if it reads none.

    Raises:
        ConfigError: the times of its log are no dates, so that the time of a request means nothing to it.
    """
    rule = saved.model.session_rule
    require(
        rule is None or rule.gap is not None,
        f"{saved.model.name} reads the sessions that its log names, and a service does not know those of events to "
        "come; train it with session_gap=1800 (seconds), and a pause tells them apart",
    )
    if not (saved.model.reads_times or saved.model.reads_request_time or rule):
        return None
    require(
        saved.log.time_unit is not None,
        f"{saved.model.name} reads times, and those of its log are no dates, so that a service cannot give them; serve "
        "a model that reads none",
    )
    return saved.log.time_unit


def _ids_of_users(log: Log) -> dict[str, int]:
    return {str(token): index for index, token in enumerate(log.users.tokens, 1)}


def _log_and_users_without(log: Log, erased: Mapping[str, int | None]) -> tuple[Log, dict[str, int]]:
    without, _ = log_without(log, erased)
    return without, _ids_of_users(without)
