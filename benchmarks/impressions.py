"""What negatives from impressions bring: hotels that are clicked out, on the validation part of trivago_100k.

    python -m benchmarks.impressions MODEL [--set NAME=VALUE ...] [--seeds N] [--json FILE]

The log is trivago_100k.parquet in the folder SEGUE_DATA (RecSys Challenge 2019), read as `benchmarks.event_types` reads
it, with the hotels that were shown at each click. All interactions with a hotel are read, and clicks are learnt and
predicted. The JSON has the form of that of `benchmarks.validation`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.event_types import PROTOCOL, hotels
from benchmarks.validation import report, validated
from segue.experiments.experiment import Experiment


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("model")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the model")
    made.add_argument("--seeds", type=int, default=1, help="number of trainings, with the seeds 0, 1, and so on")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Train and validate."""
    arguments = parser().parse_args()
    settings = dict(setting.split("=", 1) for setting in arguments.set)
    experiment = Experiment(model=arguments.model, protocol=PROTOCOL, settings=settings)
    log = hotels(impressions="impressions")
    trained = [validated(replace(experiment, seed=seed), log) for seed in range(arguments.seeds)]
    report(trained, experiment, arguments)


if __name__ == "__main__":
    main()
