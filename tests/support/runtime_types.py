"""Checks annotations, tensor shapes among them, while tests run: beartype, but an int may stand for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
