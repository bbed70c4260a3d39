"""Files of one user a line are read as such and say so; tables with broken rows are not."""

import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError

EXPECTED = [(1, 5), (1, 8), (1, 8), (1, 3), (2, 7), (2, 5), (3, 8)]
LINES = "1 5 8 8 3\n2 7 5\n3 8\n"


def pairs(log):
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


@pytest.fixture
def read(tmp_path):
    def reader(text, name="log.txt", **options):
        path = tmp_path / name
        path.write_text(text, newline="")
        return read_log(path, **options)

    return reader


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("\n", " \r\n"),
        LINES.replace(" ", "\t"),
        LINES.replace(" ", ","),
        "1\t5 8 8 3\n2\t7 5\n3\t8\n",
        "1\t5,8,8,3\n2\t7,5\n3\t8\n",
        '1,"[5, 8, 8, 3]"\n2,"[7, 5]"\n3,"[8]"\n',
    ],
)
def test_one_user_a_line_is_read_and_said(read, text):
    log = read(text)
    assert pairs(log) == EXPECTED
    assert log.time is None
    assert log.warnings == (
        "log.txt is read as one user a line: the first field is the user, the others are items, oldest first",
    )


def test_users_without_items_are_counted(read):
    log = read(LINES + "4\n\n5\n")
    assert pairs(log) == EXPECTED
    assert log.warnings[0].endswith("; 2 lines have a user and no item")


def test_late_lines_are_read_alike(read):
    many = "".join(f"{n} {' '.join(str(n % 97 + k) for k in range(n % 5 + 2))}\n" for n in range(1, 9000))
    log = read(many + "u1 7 9\n9001\n")
    assert log.history(int(log.users.ids(["u1"])[0])).tolist() == log.items.ids(["7", "9"]).tolist()
    assert log.num_users == 9000
    nested = "".join(f"{n}\t{' '.join(str(n % 97 + k) for k in range(n % 5 + 2))}\n" for n in range(1, 9000))
    assert len(read(nested + "9001\n")) == len(read(many))


def test_names_are_text_where_it_is_said_that_there_is_no_header(read):
    text = "u1,AIRLINE LOUNGE,METAL SIGN\nu2,MUG\nu3,MUG,METAL SIGN,TEA\n"
    with pytest.raises(DataError, match=r"say header=False \(--no-header\)"):
        read(text)
    assert pairs(read(text, header=False))[:2] == [("u1", "AIRLINE LOUNGE"), ("u1", "METAL SIGN")]


def test_columns_cannot_be_named(read):
    with pytest.raises(DataError, match=r"no column '1'.*different numbers of fields, so that each was read as a user"):
        read(LINES, user="1", item="2")


@pytest.mark.parametrize(
    "text",
    [
        "1 5\n1 8\n2 7\n",  # SASRec's own files: one event a line
        "1,5,8\n1,7,9\n2,5,8\n2,5\n",  # a table with a broken row
        "1;4,5\n2;3,5\n3;4\n",  # numbers with a comma
    ],
)
def test_tables_are_not_users(read, text):
    with pytest.raises(DataError, match=r"columns go by number|fit equally well"):
        read(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('user,item\n1,"2,3,4"\n2,"4,5"\n', "'2,3,4'"),
        ('user,item\n1,"[2, 3]"\n2,"[]"\n', r"'\[2, 3\]'"),
        ("user\titem\n1\t2 3 4\n2\t7\n", "'2 3 4'"),
        ("user_id:token\titem_id:token_seq\n1\t2 3 4\n2\t7\n", "'2 3 4'"),
    ],
)
def test_lists_of_items_under_a_header_are_refused(read, text, shown):
    with pytest.raises(DataError, match=rf"column 'item.*': {shown} is a list; write one event per row"):
        read(text, "log.inter" if ":" in text else "log.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item\n'ann','tea'\n'bob','jam'\n", r"column 'user': every value is in single quotes, such as 'ann'"),
        ('user,item\n1,"(2, 3)"\n2,"(a,)"\n', r"column 'item': .* is a list"),
        ('user,item\n1,"{2, 3}"\n2,"{4: 5}"\n', r"column 'item': .* is a list"),
    ],
)
def test_values_that_are_no_names_are_refused(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text, "log.csv")


def test_names_with_numbers_are_no_lists(read):
    log = read('user,item\n1,"2,3,4"\n2,METAL SIGN 4\n', "log.csv")
    assert log.items.tokens.to_list() == ["2,3,4", "METAL SIGN 4"]
