"""`segue similar`: the table, the JSON, and what it refuses (see also test_bad_folders.py)."""

from __future__ import annotations

import json
import re


def test_similar_items_of_one_and_of_several(segue, here):
    assert segue("run item-knn events.csv --no-baselines --set shrinkage=0")[0] == 0
    code, out, err = segue("similar models/item-knn --item 3 -k 2 --json found.json")
    assert (code, err) == (0, "")
    assert out.startswith("Similar to 3:")
    assert "Similarity: that of the neighbour table" in out
    found = json.loads((here / "found.json").read_text())
    assert found["items"] == ["3"]
    assert len(found["similar"]) == 2
    assert re.search(rf"1 +{found['similar'][0]['item']} +0\.\d{{4}}", out)
    (here / "deny.txt").write_text(f"{found['similar'][0]['item']}\n")
    assert segue("similar models/item-knn --item 3 -k 1 --deny deny.txt --json other.json")[0] == 0
    assert json.loads((here / "other.json").read_text())["similar"] == found["similar"][1:]
    assert "Similar to 3 and 4:" in segue("similar models/item-knn --item 3 --item 4 --item 3")[1]


def test_items_with_commas_in_their_names(segue, here):
    rows = "".join(f'u{user},"{item}",{step}\n' for user in range(6) for step, item in enumerate(["A,B", "C, D", "E"]))
    (here / "shop.csv").write_text(f"user,item,time\n{rows}")
    assert segue("run item-knn shop.csv --no-baselines --set shrinkage=0")[0] == 0
    code, out, _ = segue(["similar", "models/item-knn", "--item", "A,B"])
    assert code == 0
    assert "Nothing is similar to A,B" in out, "the model is trained on the first item of each user alone"
    code, _, err = segue(["similar", "models/item-knn", "--item", "E"])
    assert code == 2
    assert "item 'E': the model was trained without an event of it" in err
