TORCH ?= torch==2.13.0
PEERS ?= .bench
BOARD ?= pop,item-knn,seq-knn,vs-knn,stan,ease
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# trust what the machine trusts, as pip does: package indexes behind a company's proxy have its certificate
export UV_SYSTEM_CERTS ?= 1
# without compiled modules every command would compile torch's anew
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin

.PHONY: help setup demo test test-all lint format docs docs-serve board bench bench-check dist clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.venv/.ok: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q --python .venv "$(TORCH)" -e . --group dev
	touch $@

setup: .venv/.ok  ## .venv with segue and its tools

demo: .venv/.ok  ## ml-100k: five models, one honest table, ten films for one user
	$(BIN)/segue demo

test: .venv/.ok lint  ## every check of a change (under 10 minutes)
	$(BIN)/pytest -n 2 -m "not slow"

test-all: .venv/.ok lint  ## the longer checks too
	SEGUE_FUZZ=20 $(BIN)/pytest -n 2

lint: .venv/.ok  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ok  ## rewrite to the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ok  ## the site, in site/index.html
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/stage.py build/docs
	$(BIN)/mkdocs build --strict --quiet

docs-serve: docs  ## the site on http://127.0.0.1:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

board: .venv/.ok  ## the board of the project: cheap models on three logs, with equal budgets
	$(BIN)/segue board ml-100k yoochoose-100k amazon-beauty --models $(BOARD) --trials 3 --minutes-per-model 12 \
		--out build/board --json results/board/board.json
	cp build/board/board.html build/board/*.svg results/board/

bench: .venv/.ok  ## segue beside its peers, in one run (over an hour); PEERS=FOLDER has their environments
	$(BIN)/python -m benchmarks --peers $(PEERS)
	$(BIN)/python -m benchmarks.check --peers $(PEERS) --write

bench-check: .venv/.ok  ## fails if segue is less far ahead of its peers than the committed ratios say
	$(BIN)/python -m benchmarks.check --peers $(PEERS)

dist: .venv/.ok  ## the source distribution and the wheel, in dist/
	rm -rf dist
	$(BIN)/uv build --quiet

clean:
	rm -rf .venv .bench build dist site
