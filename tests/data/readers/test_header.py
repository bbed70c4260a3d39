"""Headers are detected where it is sure, and asked for where it is not."""

import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError


def pairs(log):
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


BY_NUMBER = {"user": "1", "item": "2"}
BODY = "7,5,30\n8,6,20\n"


@pytest.mark.parametrize(
    ("first", "columns"),
    [
        ("user,item,2019", {}),  # a usual name
        (",0,1,2", {"user": "0", "item": "1", "time": "2"}),  # as pandas writes it, with row numbers
        ("kunde,artikel,2019", {"user": "kunde", "item": "artikel"}),  # words over numbers
        ("wer,was,wann", {"user": "wer", "item": "was", "time": "wann"}),
    ],
)
def test_a_header_is_not_an_event(write, first, columns):
    body = BODY if not first.startswith(",") else "0,7,5,30\n1,8,6,20\n"
    assert pairs(read_log(write(f"{first}\n{body}"), **columns)) == [(7, 5), (8, 6)]


@pytest.mark.parametrize("first", ["17,25,3", "u1,25,3", "12/1/2010 8:26,4,5", "2019-10-01 00:00:00 UTC,4,5"])
def test_a_first_event_is_not_a_header(write, first):
    path = write(f"{first}\n{BODY.replace('7,', 'u7,')}")
    assert len(read_log(path, **BY_NUMBER)) == 3


@pytest.mark.parametrize("first", ["0,1,2", "0,1"])
def test_a_range_may_be_a_header_or_an_event_and_is_asked_for(write, first):
    body = BODY if first == "0,1,2" else "7,5\n8,6\n"
    path = write(f"{first}\n{body}")
    with pytest.raises(DataError, match=rf"the first line, {first}, may be an event .*\(--no-header\).*\(--header\)"):
        read_log(path, **BY_NUMBER)
    assert pairs(read_log(path, header=True, user="0", item="1")) == [(7, 5), (8, 6)]
    assert pairs(read_log(path, header=False, **BY_NUMBER)) == [(0, 1), (7, 5), (8, 6)]


def test_names_without_a_header_are_read_when_it_is_said(write):
    path = write("ann,tea\nbob,jam\n")
    with pytest.raises(DataError, match=r"the columns are ann, tea.*not a header, say header=False \(--no-header\)"):
        read_log(path)
    assert pairs(read_log(path, header=False, **BY_NUMBER)) == [("ann", "tea"), ("bob", "jam")]


def test_numbers_may_be_a_header_when_it_is_said(write):
    path = write("2019,2020\nann,tea\nbob,jam\n")
    assert pairs(read_log(path, header=True, user="2019", item="2020")) == [("ann", "tea"), ("bob", "jam")]


@pytest.mark.parametrize("again", ["user,item", "\ufeffuser,item", "User, Item", '"user","item"'])
def test_a_header_again_is_an_error(write, again):
    body = "".join(f"{n},{n % 9}\n" for n in range(20_000))
    with pytest.raises(DataError, match=r"log\.csv: row 20001 is the header again; leave it out"):
        read_log(write(f"user,item\n{body}{again}\n{body}"))


def test_a_header_again_is_an_error_in_a_recbole_file_and_with_times(write):
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    with pytest.raises(DataError, match="row 3 is the header again"):
        read_log(write(f"{head}1\t2\t3\n2\t3\t4\n{head}", "x.inter"))


@pytest.mark.parametrize("first", ["# user item", "% sym positive", "sep=,", "-- users"])
def test_comments_are_named(write, first):
    with pytest.raises(DataError, match=r"the first line, .*, is neither a header nor a row; remove it"):
        read_log(write(f"{first}\n1 2\n2 3\n", "log.txt"))


@pytest.mark.parametrize("spelling", ["\t", "\\t", "\\\\t", "tab"])
def test_a_tab_can_be_spelled(write, spelling):
    assert pairs(read_log(write("user\titem\n7\ta, b\n8\tc\n"), delimiter=spelling)) == [(7, "a, b"), (8, "c")]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("user\titem,s\n7\ta,b,c\n8\td,e\n", None),  # commas come and go
        ("user;item\n7;a|b\n8;c|d\n", ["a|b", "c|d"]),  # no bar in the header
        ("user::item::genres\n7::a::x|y|z\n8::b::x\n", ["a", "b"]),
        ("user,item\n7,a;b;c\n8,b;d\n", ["a;b;c", "b;d"]),
    ],
)
def test_the_delimiter_is_the_one_that_every_line_has(write, text, items):
    log = read_log(write(text), item="item,s" if items is None else "item")
    assert log.items.tokens.to_list() == (items or ["a,b,c", "d,e"])


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [
        (",", "u{n},i{m},17{n},3|10|17|5|9\n"),
        ("\t", "u{n}\ti{m}\t17{n}\t1,2,3,4,5\n"),
        ("\t", "u{n}\ti{m},a,b\n"),
    ],
)
def test_a_list_of_one_length_does_not_set_the_delimiter(write, delimiter, line):
    path = write("".join(line.format(n=n % 3, m=n) for n in range(6)))
    options = {"header": False, "user": "1", "item": "2", "time": ""}
    with pytest.raises(DataError, match=r"both fit as delimiters; give one \(--delimiter\)"):
        read_log(path, **options)
    assert read_log(path, delimiter=delimiter, **options).users.tokens.to_list() == ["u0", "u1", "u2"]


def test_values_of_two_parts_leave_the_delimiter_alone(write):
    path = write("u1\ti1\t5.1,4.2\nu2\ti2\t5.3,4.1\n")
    assert read_log(path, header=False, user="1", item="2").users.tokens.to_list() == ["u1", "u2"]


def test_a_delimiter_may_be_given_by_its_code(write):
    assert pairs(read_log(write("user\x01item\n7\x011\n8\x012\n"), delimiter="\\x01")) == [(7, 1), (8, 2)]


def test_an_address_is_refused_as_it_stands():
    with pytest.raises(DataError, match=r"https://x\.y/z\.csv: an address is not read; download the file"):
        read_log("https://x.y/z.csv")


def test_two_delimiters_that_fit_are_asked_for(write):
    with pytest.raises(DataError, match=r"',' and ';' fit equally well as delimiters; give one \(--delimiter\)"):
        read_log(write("7;4,5\n8;3,5\n"))


def test_a_blank_line_below_the_header_is_named(write):
    with pytest.raises(DataError, match="the line below the header is blank; remove it"):
        read_log(write("user,item\n\n7,1\n8,2\n"))
    assert pairs(read_log(write('user,"a\n\nb"\n7,1\n8,2\n'), item="a\n\nb")) == [(7, 1), (8, 2)]


def test_columns_aligned_by_spaces_are_refused(write):
    with pytest.raises(DataError, match="columns aligned by several spaces are not read"):
        read_log(write("user   item\n7      1\n8     22\n", "log.txt"))
