"""Metadata of users and items is matched by name, and found beside the log."""

import polars as pl

from segue.data.readers.ingest import read_log

ITEMS = pl.DataFrame(
    {
        "movieId": ["2", "1", "9", "1"],
        "movie_title": ["GoldenEye", "Toy Story (1995)", "Unseen", "Twice"],
        "release_year": [1995, 1995, 2000, 2001],
    }
)
FILMS = pl.DataFrame({"user": [1, 2, 2], "item": [2, 1, 3], "time": [5, 6, 7]})


def test_items_are_matched_by_name_and_get_a_title():
    log = read_log(FILMS, items=ITEMS)
    assert log.titles([1, 2, 3]) == ["Toy Story (1995)", "GoldenEye (1995)", "3"]
    assert log.item_metadata.columns == ["title", "release_year"]
    assert log.item_metadata["release_year"].to_list() == [1995, 1995, None]


def test_item_metadata_beside_the_log_is_used(tmp_path):
    FILMS.write_parquet(tmp_path / "films.parquet")
    ITEMS.write_parquet(tmp_path / "films.items.parquet")
    assert read_log(tmp_path / "films.parquet").titles([2]) == ["GoldenEye (1995)"]
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "ml.inter").write_text("user_id:token\titem_id:token\n1\t2\n2\t1\n")
    (folder / "ml.item").write_text('item_id:token\tmovie_title:token_seq\n2\tThe "Eye\n1\tToy, Story\n')
    assert read_log(folder).titles([1, 2]) == ["Toy, Story", 'The "Eye']
    assert read_log(folder / "ml.inter").titles([1]) == ["Toy, Story"]


def test_a_delimiter_of_two_characters_leaves_single_ones_alone(write):
    path = write(
        'item::title::genres\n1::Star Wars: "Episode" IV (1977)::Sci-Fi|War\n2::Alien: 3::Horror\n', "movies.dat"
    )
    log = read_log(FILMS, items=path)
    assert log.titles([1, 2]) == ['Star Wars: "Episode" IV (1977)', "Alien: 3"]
    assert log.item_metadata["genres"].to_list() == ["Sci-Fi|War", "Horror", None]


USERS = pl.DataFrame({"user_id": ["2", "9", "2"], "name": ["Ann", "Bob", "Twice"], "year": [1995, 1990, 1980]})


def test_users_are_matched_by_name_and_keep_their_columns():
    log = read_log(FILMS, users=USERS)
    assert log.user_metadata.rows() == [(None, None), ("Ann", 1995)]
    assert log.user_metadata.columns == ["name", "year"]
    assert log.item_metadata is None
    assert log.fingerprint == read_log(FILMS).fingerprint


def test_user_metadata_beside_the_log_is_used(tmp_path, write):
    FILMS.write_parquet(tmp_path / "films.parquet")
    USERS.write_parquet(tmp_path / "films.users.parquet")
    log = read_log(tmp_path / "films.parquet")
    assert (log.user_metadata["name"].to_list(), log.item_metadata) == ([None, "Ann"], None)
    path = write("user_id:token\titem_id:token\n1\t2\n2\t1\n", "ml.inter")
    write('user_id:token\tage:float\tjob:token\n2\t20\t"a\n1\t30\tb\n', "ml.user")
    assert read_log(path).user_metadata.rows() == [(30, "b"), (20, '"a')]
    given = read_log(path, users=pl.DataFrame({"user": [1], "age": [31]}))
    assert given.user_metadata["age"].to_list() == [31, None]


def test_items_without_titles_keep_their_columns(write):
    path = write("item,colour\n3,red\n", "i.csv")
    log = read_log(FILMS, items=path)
    assert log.item_metadata["colour"].to_list() == [None, None, "red"]
    assert log.titles([3]) == ["3"]
