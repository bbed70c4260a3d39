"""Settings, protocols and searches that cannot be used: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

import sys

import pytest

from segue.cli import status

from .bad_input import (
    Bad,
    check,
    written,
)
from .logs import events

ONE_SECOND = "user,item,time\n" + "".join(f"u{u},{(u + t) % 5},7\n" for u in range(9) for t in range(5))


def refitted(patch: pytest.MonkeyPatch) -> None:
    """A model that is trained on the validation data as well."""
    assert status(["run", "pop", "events.csv", "--refit", "--no-baselines", "--out", "models/refit"]) == 0


SETTINGS = {
    "unknown model": Bad(
        "run popp events.csv", r"no model 'popp', did you mean 'pop'.*: pop, .*item-knn, .*bprmf, .*hgn"
    ),
    "model in capitals": Bad("run HGN events.csv", r"no model 'HGN', did you mean 'hgn'"),
    "unknown setting": Bad(
        "run hgn events.csv --set embedding_dimm=3",
        r"unknown setting 'embedding_dimm', did you mean 'embedding_dim'.*known: .*lr",
    ),
    "setting of another model": Bad(
        "run pop events.csv --set embedding_dim=3", r"unknown setting 'embedding_dim'; known: event_weights"
    ),
    "setting without a value": Bad("run hgn events.csv --set dim", r"--set dim: must look like name=value"),
    "setting without a name": Bad("run hgn events.csv --set =3", r"--set =3: must look like name=value"),
    "no setting": Bad("run hgn events.csv --set", r"--set: needs name=value, such as --set epochs=20"),
    "RecBole's switch": Bad(
        "run hgn events.csv --set reproducibility=False", r"unknown setting 'reproducibility': the same seed always"
    ),
    "RecBole's switch for a network": Bad(
        "run hybrid events.csv --set network=sasrec reproducibility=False",
        r"unknown setting 'reproducibility': the same seed always",
    ),
    "RecBole's name for another network": Bad(
        "run hybrid events.csv --set network=gru n_heads=2",
        r"unknown setting 'n_heads'; known to the hybrid and to gru: ",
    ),
    "RecBole's name and ours of a network": Bad(
        "run hybrid events.csv --set network=sasrec n_layers=2 num_blocks=1",
        r"num_blocks is given twice, as n_layers too; keep one",
    ),
    "RecBole's name with a bad value for a network": Bad(
        "run hybrid events.csv --set network=gru n_layers=0", r"num_layers='0': must be between 1 and 100"
    ),
    "earlier name of a setting of a network": Bad(
        "run hybrid events.csv --set network=gru dim=4", r"unknown setting 'dim': it is now called 'embedding_dim'"
    ),
    "no such network": Bad("run hybrid events.csv --set network=sasrek n_layers=2", r"no model 'sasrek', did you mean"),
    "RecBole's name and ours": Bad(
        "run hgn events.csv --set embedding_dim=3 embedding_size=4",
        r"embedding_dim is given twice, as embedding_size too; keep one",
    ),
    "both names for the first stage": Bad(
        "run hgn events.csv --rerank bprmf --rerank-set lr=.1 learning_rate=.2",
        r"lr is given twice, as learning_rate too; keep one",
    ),
    "text for a number": Bad(
        "run hgn events.csv --set embedding_dim=big", r"embedding_dim='big': must be a whole number"
    ),
    "fraction for a number": Bad(
        "run hgn events.csv --set embedding_dim=1.5", r"embedding_dim='1\.5': must be a whole number"
    ),
    "number too large": Bad(
        f"run hgn events.csv --set embedding_dim={10**30}", r"embedding_dim=1000.*: does not fit in 64 bits"
    ),
    "setting out of range": Bad("run hgn events.csv --set embedding_dim=0", r"embedding_dim='0': must be at least 1"),
    "negative lr": Bad("run hgn events.csv --set lr=-1", r"lr='-1': must be above 0"),
    "lr that is not finite": Bad("run hgn events.csv --set lr=nan", r"lr='nan': must be a finite number"),
    "infinite lr": Bad("run hgn events.csv --set lr=inf", r"lr='inf': must be a finite number"),
    "no such choice": Bad("run hgn events.csv --set reduction=summ", r"reduction='summ': must be one of sum, mean"),
    "unknown preset": Bad("run hgn events.csv --preset papr", r"no preset 'papr', did you mean 'paper'.*author"),
    "no presets": Bad("run pop events.csv --preset paper", r"pop has no preset 'paper'; it has: none"),
    "unknown protocol": Bad(
        "run pop events.csv --protocol globaltime", r"unknown protocol 'globaltime', did you mean 'global-time'"
    ),
    "test part without users": Bad(
        "run pop events.csv --protocol whole-users --test .001",
        r"no test instance is left \(the test part has no users\); choose another protocol, a larger test part",
    ),
    "unknown metric": Bad("run pop events.csv --monitor ndgc@10", r"unknown metric 'ndgc@10', did you mean 'ndcg'"),
    "metric without a cut-off": Bad("run pop events.csv --monitor ndcg", r"metric 'ndcg' needs a cut-off .*ndcg@10"),
    "metric too deep": Bad(
        "run pop events.csv --monitor ndcg@50", r"ndcg@50: leave-one-out ranks only the first 20 items; use ndcg@20"
    ),
    "eval-every 0": Bad("run pop events.csv --eval-every 0", r"eval_every=0: must be at least 1"),
    "patience 0": Bad("run pop events.csv --patience 0", r"patience=0: must be at least 1"),
    "negative seed": Bad("run hgn events.csv --seed -1", r"seed=-1: must lie between 0 and"),
    "text for a seed": Bad("run hgn events.csv --seed x", r"--seed: .*\"x\".*int"),
    "log too short": Bad(
        "run hgn bad.csv",
        r"bad: too short for the protocol leave-one-out.*12 users with nothing held out",
        events(length=2),
    ),
    "one event a user": Bad("run hgn bad.csv --protocol hgn", r"hgn leaves nothing to train on", events(length=1)),
    "unknown groups": Bad(
        "run pop events.csv --by size", r"--by size: must be one of length, history, leak, popularity, step"
    ),
    "chart without groups": Bad(
        "evaluate models/pop --data events.csv --picture p.svg",
        r"--picture p\.svg: shows the groups of --by; give --by too",
    ),
    "horizon of a single test item": Bad(
        "run pop events.csv --horizon 3", r"horizon=3: only for splits with an instance at every step"
    ),
    "groups by step of a saved model with horizon 1": Bad(
        "evaluate models/pop --data events.csv --by step", r"needs a protocol with a horizon of 2"
    ),
    "groups by step without a horizon": Bad(
        "run pop events.csv --by step",
        r"--by step: needs several targets at each step; give their number with --horizon",
    ),
    "leak dropped without times": Bad(
        "run pop events.csv --time-col= --protocol whole-users --leak drop",
        r"events: leak='drop' compares the times of events, and this log has none; leave it out",
    ),
    "groups by leak without times": Bad(
        "run pop events.csv --time-col= --by leak", r"--by leak: compares the times of events, and events has none"
    ),
    "copies without times": Bad(
        "run pop events.csv --time-col= --duplicates exact",
        r"events: exact copies have the same time, and this log has",
    ),
    "leak dropped where users are split": Bad(
        "run pop events.csv --leak drop", r"leak='drop' leaves out whole users .* cuts 12 of"
    ),
    "days without times": Bad(
        "run pop bad.csv --time-col= --protocol last-day",
        r"bad: a split by date needs times",
        events(header="user,item,other"),
    ),
    "dates without times": Bad(
        "run pop bad.csv --time-col= --protocol global-time",
        r"bad: a split by time needs times",
        events(header="user,item,other"),
    ),
    "one second for all": Bad(
        "run pop bad.csv --protocol global-time", r"bad: .*leaves nothing to train on", ONE_SECOND
    ),
    "loss not finite": Bad(
        "run hgn events.csv --set lr=1e30 batch_size=4",
        r"hgn: the loss is not finite from batch 2 of epoch 1 on; try a smaller lr \(now 1e\+30\)",
    ),
    "scores not finite": Bad("run hgn events.csv --set lr=1e30", r"HGN scores NaN: .*smaller lr"),
    "too large for memory": Bad(
        f"run bprmf events.csv --set embedding_dim={10**13}", r"not enough memory \(.*\); use smaller settings"
    ),
}


OF_A_SPLIT = {
    "gap of another protocol": Bad(
        "run pop events.csv --gap 60",
        r"--gap 60: the protocol leave-one-out has no such option \(it takes --valid, a number of rows of each user; "
        r"--test, .*\); choose one that does with --protocol: next-basket",
    ),
    "fraction of a second": Bad(
        "run pop events.csv --protocol next-basket --gap 0.5",
        r"--gap 0\.5: under .* a number of seconds, a whole number",
    ),
    "negative gap": Bad("run pop events.csv --protocol next-basket --gap -1", r"gap=-1 must be a number of seconds"),
    "gap that is no number": Bad(
        "run pop events.csv --protocol next-basket --gap nan", r"--gap nan: under the protocol"
    ),
    "baskets without times": Bad(
        "run pop bad.csv --time-col= --protocol next-basket",
        r"bad: baskets need times",
        events(header="user,item,other"),
    ),
    "gap without dates": Bad(
        "run pop bad.csv --protocol next-basket --gap 5", r"bad: times from 7 to 7 are not dates, so they", ONE_SECOND
    ),
    "one basket a user": Bad(
        "run pop bad.csv --protocol next-basket",
        r"bad: too short for the protocol next-basket.*9 users with nothing held out for test",
        ONE_SECOND,
    ),
    "fraction of the rows for leave-one-out": Bad(
        "run pop events.csv --test 0.2",
        r"--test 0\.2: under the protocol leave-one-out it is a number of rows of each user, a whole number",
    ),
    "rows for a fraction": Bad(
        "run pop events.csv --protocol hgn --test 3",
        r"--test 3: under the protocol hgn it is a fraction of each user's",
    ),
    "percent for a fraction": Bad(
        "run pop events.csv --protocol global-time --valid 10",
        r"--valid 10: under the protocol global-time it is a fraction of all rows, below 1",
    ),
    "fractions that leave nothing": Bad(
        "run pop events.csv --protocol hgn --test 0.6 --valid 0.4", r"valid=0\.4 and test=0\.6 must be fractions that"
    ),
    "half a day": Bad(
        "run pop events.csv --protocol last-day --valid 0.5", r"--valid 0\.5: under .* a number of days .* whole number"
    ),
    "negative number of rows": Bad("run pop events.csv --valid -1", r"valid=-1 must be at least 0"),
    "size that is not finite": Bad(
        "run pop events.csv --test inf", r"--test inf: under the protocol leave-one-out it is"
    ),
    "test of a split that the log brings": Bad(
        "run pop events.csv --protocol session --test 1",
        r"--test 1: the protocol session has no such option \(it takes --valid, .*choose one .*global-time",
    ),
    "date of another protocol": Bad(
        "run pop events.csv --date 2020-01-01",
        r"--date 2020-01-01: the protocol leave-one-out .*global-time, prequential, ratings",
    ),
    "date that is none": Bad(
        "run pop events.csv --protocol global-time --date 2020-13-01", r"--date 2020-13-01: not a date; give 2024-01-31"
    ),
    "year for a date": Bad(
        "run pop events.csv --protocol global-time --date 2020",
        r"date=2020 leaves one part empty; its times run from 16",
    ),
    "date and size of the test": Bad(
        "run pop events.csv --protocol global-time --date 2020-01-01 --test 0.1",
        r"--test 0\.1 and --date 2020-01-01: both say where the test begins; give one",
    ),
    "date after the log": Bad(
        "run pop events.csv --protocol global-time --date 2024-01-31", r"date=1706659200 leaves one part empty"
    ),
    "date for a log without times": Bad(
        "run pop bad.csv --time-col= --protocol global-time --date 2020-01-01",
        r"bad: a split by time needs times",
        events(header="user,item,other"),
    ),
    "date for times that are none": Bad(
        "run pop bad.csv --protocol global-time --date 2020-01-01",
        r"--date 2020-01-01: bad has times from 7 to 7, which are no dates; give a number between",
        ONE_SECOND,
    ),
    "seen items of ratings": Bad(
        "run mf events.csv --protocol ratings --include-seen",
        r"ratings predicts ratings; it has no rule for seen items",
    ),
    "range of models with and without validation data": Bad(
        "evaluate models/pop models/refit --data events.csv --tie-range 3",
        r"--tie-range: models/refit was trained on the validation data too \(--refit\), and models/pop was not; eval",
        prepare=refitted,
    ),
    "leak of models with and without validation data": Bad(
        "evaluate models/refit models/pop --data events.csv --by leak",
        r"--by leak: models/refit was trained on the validation data too \(--refit\), and models/pop was not; evaluate",
        prepare=refitted,
    ),
    "range of very many orders": Bad(
        "run pop events.csv --tie-range 99999999999",
        r"--tie-range 99999999999: a range needs at least 2 orders, and at most 10,000",
    ),
    "range of one order": Bad("run pop events.csv --tie-range 1", r"--tie-range 1: a range needs at least 2 orders"),
    "range of ratings": Bad(
        "run mf events.csv --protocol ratings --tie-range 5",
        r"--tie-range: needs a protocol that ranks; ratings does not",
    ),
    "range of a final model": Bad(
        "run pop events.csv --final --tie-range 5", r"--tie-range: needs the model that is tested, and --final replaces"
    ),
    "range of models that are trained anew": Bad(
        "run pop events.csv --protocol prequential --retrain nightly --tie-range 5",
        r"--tie-range: models are not trained anew in each of the orders, as --retrain nightly asks for; leave one out",
    ),
    "range of an order without times": Bad(
        "run pop bad.csv --time-col= --tie-range 5 --no-baselines",
        r"--tie-range: bad has an order and no times, so it is not known which",
        events(header="user,item,other"),
    ),
    "half a row": Bad("run pop events.csv --min-history 2.5", r"--min-history: unable to convert \"2\.5\" into int"),
    "huge cut-off": Bad(
        "run pop events.csv -k 4611686018427387904", r"-k 4611686018427387904: cut-offs are .* from 1 to 1,000,000"
    ),
    "cut-off beyond 64 bits": Bad(
        "run pop events.csv -k 18446744073709551616", r"-k 18446744073709551616: cut-offs are .* from 1 to 1,000,000"
    ),
    "half a cut-off": Bad("run pop events.csv -k 5 7.5", r"-k: unable to convert \"7\.5\" into int"),
    "sample of no users": Bad(
        "run pop events.csv --sample-users 0", r"sample_users=0: must be a whole number of at least 1"
    ),
    "negative sample of the test": Bad(
        "evaluate models/pop --data events.csv --sample-test-users -5",
        r"sample_test_users=-5: must be a whole number of at least 1",
    ),
    "sample without validation": Bad(
        "run pop events.csv --valid 0 --sample-users 5", r"--sample-users: needs validation data, and --valid 0 leaves"
    ),
    "half a user": Bad(
        "search pop events.csv --sample-users 2.5", r"--sample-users: unable to convert \"2\.5\" into int"
    ),
    "seed of no sample": Bad(
        "compare events.csv --sample-seed 1", r"--sample-seed 1: no users are drawn; give .* --sample-test-users, or in"
    ),
    "negative seed of a sample": Bad(
        "run pop events.csv --sample-users 5 --sample-seed -1", r"sample_seed=-1: must be a whole number from 0 on"
    ),
    "validation in an evaluation": Bad(
        "evaluate models/pop --data events.csv --sample-users 5", r"--sample-users\. Did you mean --sample-.*-users"
    ),
    "half a core": Bad("data events.csv --user-core 1.5", r"--user-core: unable to convert \"1\.5\" into int"),
}


@pytest.mark.parametrize("bad", OF_A_SPLIT.values(), ids=OF_A_SPLIT)
def test_a_split_that_cannot_be_made(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("bad", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_cannot_be_used(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


SPACE = "search hgn events.csv --space bad.csv"

SEARCHES = {
    "search of an unknown model": Bad("search popp events.csv", r"no model 'popp', did you mean 'pop'"),
    "no space": Bad("search hgn events.csv --space nosuch", r"nosuch: cannot be read as a search space: No such file"),
    "space in another form": Bad(
        SPACE, r"bad\.csv, line 1: 'lr=0\.1' is not a setting with values; .*choice", "lr=0.1\n"
    ),
    "unknown kind": Bad(SPACE, r"bad\.csv, line 2: unknown kind 'normal'; known: choice, uniform", "\nlr normal 0,1\n"),
    "unknown setting in a space": Bad(
        SPACE, r"search space of hgn: unknown setting 'windw', did", "windw choice [1]\n"
    ),
    "value of another type": Bad(
        SPACE, r"embedding_dim='big': must be a whole number", "embedding_size choice ['big']\n"
    ),
    "value out of range": Bad(SPACE, r"lr=-1: must be above 0", "lr uniform -1,1\n"),
    "searched and fixed": Bad(f"{SPACE} --set lr=0.1", r"lr is both fixed and searched", "learning_rate choice [1]\n"),
    "no trials": Bad("search hgn events.csv --trials 0", r"trials=0: must be at least 1"),
    "no time": Bad("search hgn events.csv --minutes 0", r"minutes=0.0: must be above 0"),
    "processes without end": Bad(
        "search hgn events.csv --jobs 99999999999", r"jobs=99999999999: must be at least 1 and at most"
    ),
    "comparison with processes without end": Bad(
        "compare events.csv --jobs 99999999999", r"jobs=99999999999: must be at least 1 and at most"
    ),
    "no processes": Bad("search hgn events.csv --jobs 0", r"jobs=0: must be at least 1"),
    "file for the trials": Bad(
        "search hgn events.csv", r"hgn\.search: is a file", prepare=written("models/hgn.search")
    ),
    "another search": Bad(
        "search pop events.csv --seed 1",
        r"models/pop\.search: holds a search with another seed, or of an older version of segue; delete it",
        prepare=lambda patch: status(["search", "pop", "events.csv", "--no-baselines"]),
    ),
    "search damaged": Bad(
        "search pop events.csv",
        r"models/pop\.search/search\.json: damaged, not JSON .*; delete models/pop\.search to start afresh",
        prepare=lambda patch: [
            written("models/pop.search/search.json")(patch),
            written("models/pop.search/lock", "")(patch),
        ],
    ),
    "search of no object": Bad(
        "search pop events.csv",
        r"models/pop\.search/search\.json: damaged, does not describe a search; delete models/pop\.search to start",
        prepare=lambda patch: [
            written("models/pop.search/search.json", "[1]")(patch),
            written("models/pop.search/lock", "")(patch),
        ],
    ),
    "journal damaged": Bad(
        "search pop events.csv --no-baselines",
        r"models/pop\.search/journal\.log: damaged \(.*\); delete models/pop\.search to start afresh",
        prepare=lambda patch: [
            status(["search", "pop", "events.csv", "--no-baselines"]),
            written("models/pop.search/journal.log", "{}\n")(patch),
            written("models/pop.search/journal.lock", "")(patch),
        ],
    ),
    "comparison of no object": Bad(
        "compare events.csv --models pop -o c",
        r"c/compare\.json: spent: must be .*; delete c to start afresh",
        prepare=written("c/compare.json", '{"spent": 3}'),
    ),
    "space of brackets": Bad(SPACE, r"bad\.csv, line 1: cannot read the values", "lr choice " + "[" * 3000),
    "space of true": Bad(SPACE, r"bad\.csv, line 1: uniform needs numbers", "lr uniform True, 2\n"),
    "space of huge numbers": Bad(SPACE, r"bad\.csv, line 1: uniform needs numbers", f"lr uniform 0, {'9' * 400}\n"),
    "search on too short a log": Bad("search pop bad.csv", r"bad: too short for the protocol", events(length=2)),
    "no optuna": Bad(
        "search pop events.csv",
        r'searching needs optuna, .*: pip install "segue\[tune\]"',
        prepare=lambda patch: patch.setitem(sys.modules, "optuna", None),
    ),
    "comparison of an unknown model": Bad("compare events.csv --models pop,hgm", r"no model 'hgm', did you mean 'hgn'"),
    "comparison without an unknown model": Bad("compare events.csv --exclude hgm", r"no model 'hgm', did you mean"),
    "comparison of no model": Bad("compare events.csv --models pop --exclude pop", r"no model is left to compare"),
    "comparison of ratings": Bad(
        "compare events.csv --protocol ratings",
        r"ratings: this protocol predicts ratings, .*segue run mf DATA --protocol ratings",
    ),
    "groups of ratings": Bad(
        "run mf events.csv --protocol ratings --by length",
        r"--by length: needs a protocol that ranks items; ratings predicts ratings",
    ),
    "comparison in no time": Bad("compare events.csv --minutes -1", r"minutes=-1\.0: must be above 0"),
    "comparison with no process": Bad("compare events.csv --jobs 0", r"jobs=0: must be at least 1"),
    "comparison in a folder of other things": Bad(
        "compare events.csv -o models", r"models: is there and is not a comparison; choose another name"
    ),
    "comparison in a file": Bad(
        "compare events.csv -o events.csv", r"events\.csv: is also what is read, events\.csv; choose"
    ),
    "comparison on too short a log": Bad("compare bad.csv", r"bad: too short for the protocol", events(length=2)),
}


@pytest.mark.parametrize("bad", SEARCHES.values(), ids=SEARCHES)
def test_a_search_that_cannot_run(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
