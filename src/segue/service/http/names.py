"""`Name` and `Text`: names of users and items in a request, in the form in which sources are read; and other texts."""

from __future__ import annotations

import re
from typing import Annotated
from unicodedata import normalize

from pydantic import AfterValidator, Field
from starlette.convertors import Convertor, register_url_convertor

from segue.data.log import BLANKS

MAX_LENGTH = 500
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def usual_form(name: str) -> str:
    """A name without blanks around it, in Unicode form C.

    Raises:
        ValueError: nothing is left, or it has a character that no store can hold.
    """
    name = normalize("NFC", name.strip(BLANKS))
    if not name:
        raise ValueError("a name must not be empty")
    return storable(name)


def storable(text: str) -> str:
    """A text that every store can hold.

    Raises:
        ValueError: it has a character that PostgreSQL or UTF-8 cannot hold.
    """
    if UNSTORABLE.search(text):
        raise ValueError("a text must not contain the character 0 or half a surrogate pair")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(usual_form)]
Text = Annotated[str, AfterValidator(storable)]


class NameConvertor(Convertor[str]):
    """A name in the path of a route, such as /users/{user:name}: with slashes and, unlike `path`, with line breaks."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        """The name."""
        return value

    def to_string(self, value: str) -> str:
        """The name as a part of a path."""
        return value


register_url_convertor("name", NameConvertor())
