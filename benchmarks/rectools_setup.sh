#!/usr/bin/env bash
# Set up the environment in which peer_rectools.py runs RecTools, and peer_gru4rec.py the program of GRU4Rec's author.
#
#   benchmarks/rectools_setup.sh [FOLDER]      (default: .bench/rectools)
#
# Makes FOLDER/venv; a second run does nothing. Uses PYTHON (default python3). On a machine
# without a GPU, a CPU wheel of torch found through PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL
# saves the download of CUDA libraries.
set -euo pipefail

folder=${1:-.bench/rectools}
python=${PYTHON:-python3}
pins=(
  torch==2.13.0
  numpy==1.26.4
  pandas==2.3.3
  pytorch-lightning==2.5.2
  "RecTools[torch]==0.19.0"
)

mkdir -p "$folder"
cd "$folder"
if [[ ! -f venv/.done ]]; then
  "$python" -m venv venv
  venv/bin/python -m pip install --quiet "${pins[@]}"
  touch venv/.done
fi
echo "ready: $folder/venv/bin/python"
