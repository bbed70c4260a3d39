"""The site builds in strict mode, and its pages load nothing from the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.stage import stage

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")
IMPORTED = re.compile(r"""(?:@import\s+|url\()["']?((?:https?:)?//[^"')\s]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, made by the commands of `make docs` in another folder."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "doctest_blocks.py", folder / "docs")
    stage(folder / "build" / "docs")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--quiet"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.mark.slow
def test_the_site_has_every_page(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert not [page for page in pages if not (site / page).is_file()]
    assert (site / "search" / "search_index.json").is_file()


@pytest.mark.slow
def test_pages_load_nothing_from_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not LOADED.findall(text), page.name
        assert 'class="mermaid"' not in text, page.name  # the theme would fetch a program to draw it
    for sheet in site.rglob("*.css"):
        assert not IMPORTED.findall(sheet.read_text(encoding="utf-8")), sheet.name


@pytest.mark.slow
def test_the_api_pages_describe_public_classes(site: Path) -> None:
    page = (site / "reference" / "api" / "data.html").read_text(encoding="utf-8")
    assert 'id="segue.data.log.Log"' in page


def test_links_out_of_the_folder_become_links_of_the_site(tmp_path: Path) -> None:
    stage(tmp_path)
    text = (tmp_path / "results" / "hgn.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert all((tmp_path / "results" / picture).is_file() for picture in pictures)
    assert "](reference/changelog.md)" in (tmp_path / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.stem)
def test_pictures_load_nothing_from_the_network(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert not IMPORTED.findall(text)
    assert not re.findall(r"""href=["'](?!#|data:)""", text)
