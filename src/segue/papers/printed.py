"""What a paper prints about the settings of a method, beside those of the run here.

    printed   embedding_dim 50   bias false   dropout OneOf(0, .25, .5)        by the names of this library's settings
    here      embedding_dim 16   bias false   dropout .5, the only one tried   lr .001
    departs   embedding_dim 16 (paper 50), dropout .5 (paper: one of 0, .25, .5)
    open      lr .001

Every setting of a run either equals the printed one, departs from it, or is left open by the paper. The settings of the
run are gone through, so none can be left out of all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from segue.errors import ConfigError, did_you_mean

Printed = Mapping[str, Any]
"""The printed value of settings, or the values that it was chosen from; without those that a paper leaves open."""


AS_PRINTED, BEST_HERE = "as the paper says", "best here"  # the two forms of a method
RELEASED = "released program"  # a third one, where the authors' program does something else than their paper


@dataclass(frozen=True)
class OneOf:
    """The values among which a paper says that validation chose, without the choice."""

    values: tuple[Any, ...]


def name_in_paper(name: str) -> str:
    """The name of a method without that of the paper's form.

    >>> name_in_paper("HGN, as the paper says"), name_in_paper("HGN")
    ('HGN', 'HGN')
    """
    return name.removesuffix(f", {AS_PRINTED}")


class Comparison(NamedTuple):
    """The settings of a run beside the printed ones.

    Attributes:
        departs: setting -> {"here", "paper"}, and "tried", the values tried here, where the paper has several.
        open: settings that the paper does not print, with the value here.
    """

    departs: dict[str, dict[str, Any]]
    open: dict[str, Any]

    def describe(self) -> str:
        """What departs from the paper, in words; empty if nothing does."""
        return ", ".join(f"{name} {_difference(values)}" for name, values in self.departs.items())

    def describe_open(self, defaults: Mapping[str, Any]) -> str:
        """What the paper leaves open, with the values here; of those at their defaults only the number."""
        own = [name for name, value in self.open.items() if name not in defaults or defaults[name] != value]
        listed = [f"{name} {value_text(self.open[name])}" for name in own]
        if rest := len(self.open) - len(own):
            listed.append(f"{rest} settings at their defaults" if rest > 1 else "1 setting at its default")
        return ", ".join(listed)


def compare_with_paper(
    settings: Mapping[str, Any], printed: Printed, tried: Mapping[str, Sequence[Any]] | None = None
) -> Comparison:
    """Compare all settings of a run with the printed ones.

    Args:
        settings: all settings of the run.
        printed: those that the paper prints.
        tried: for settings that validation chose here, the values it chose from.

    Raises:
        ConfigError: a printed setting is none of the run's.
    """
    for name in printed:
        if name not in settings:
            raise ConfigError(f"printed setting {name!r} is none of the run's{did_you_mean(name, settings)}")
    departs = {}
    for name, paper in printed.items():
        here = settings[name]
        if isinstance(paper, OneOf):
            values = list((tried or {}).get(name, [here]))
            if set(values) != set(paper.values):
                departs[name] = {"here": here, "tried": values, "paper": list(paper.values)}
        elif here != paper:
            departs[name] = {"here": here, "paper": paper}
    return Comparison(departs, {name: value for name, value in settings.items() if name not in printed})


def grid(**values: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """All combinations of the values of some settings, as trials.

    >>> grid(lr=(0.1, 0.01), l2=(1.0,))
    ({'lr': 0.1, 'l2': 1.0}, {'lr': 0.01, 'l2': 1.0})
    """
    return tuple(dict(zip(values, combination, strict=True)) for combination in product(*values.values()))


def size_sentence(title: str, here: Mapping[str, int], printed: Mapping[str, int]) -> str:
    """Whether the numbers of a log, such as its users and items, are the printed ones."""
    counts = (
        f"{number:,} {what}" + ("" if number == printed[what] else f" (paper {printed[what]:,})")
        for what, number in here.items()
    )
    verdict = "as the paper prints" if dict(here) == dict(printed) else "not the paper's numbers"
    return f"{title}: {', '.join(counts)}: {verdict}."


def seeds_sentence(num_seeds: Mapping[str, int]) -> str:
    """How many seeds each network has, such as "3 seeds: HGN. 1 seed: GRU4Rec; Caser. Figures are means over seeds."

    Args:
        num_seeds: by the name of the method.
    """
    by_number: dict[int, list[str]] = {}
    for name, number in num_seeds.items():
        by_number.setdefault(number, []).append(name)
    listed = [
        f"{number} seed{'s' if number > 1 else ''}: {'; '.join(names)}."
        for number, names in sorted(by_number.items(), reverse=True)
    ]
    return " ".join([*listed, "Figures are means over seeds."])


def value_text(value: Any) -> str:
    """A value as a reader of a page expects it: .001 as 0.001, true, none, a list with commas."""
    if isinstance(value, (list, tuple)):
        return _listed(value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _difference(values: Mapping[str, Any]) -> str:
    here, tried = value_text(values["here"]), values.get("tried")
    if tried is None:
        return f"{here} (paper {value_text(values['paper'])})"
    chosen = f", chosen from {_listed(tried)}" if len(tried) > 1 else ""
    return f"{here}{chosen} (paper: one of {_grid_text(values['paper'])})"


def _grid_text(values: Sequence[Any]) -> str:
    """The values; of more than three numbers, how many there are between which."""
    return _listed(values) if len(values) <= 3 else f"{len(values)} from {min(values):g} to {max(values):g}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(value_text, values))
