"""Shapes are checked in every test: jaxtyping's annotations, enforced by beartype."""

from jaxtyping import install_import_hook

install_import_hook(["segue.batch", "segue.losses", "segue.model", "segue.models", "segue.layers"], "beartype.beartype")
