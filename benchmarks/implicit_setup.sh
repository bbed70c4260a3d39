#!/usr/bin/env bash
# Set up the environment in which peer_implicit.py runs implicit.
#
#   benchmarks/implicit_setup.sh [FOLDER]      (default: .bench/implicit)
#
# Makes FOLDER/venv; a second run does nothing. Uses PYTHON (default python3).
set -euo pipefail

folder=${1:-.bench/implicit}
python=${PYTHON:-python3}
pins=(
  implicit==0.7.3
  numpy==2.4.6
  scipy==1.17.1
)

mkdir -p "$folder"
cd "$folder"
if [[ ! -f venv/.done ]]; then
  "$python" -m venv venv
  venv/bin/python -m pip install --quiet "${pins[@]}"
  touch venv/.done
fi
echo "ready: $folder/venv/bin/python"
