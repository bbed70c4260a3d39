#!/usr/bin/env bash
# Set up the environment in which peer_replay.py runs RePlay.
#
#   benchmarks/replay_setup.sh [FOLDER]      (default: .bench/replay)
#
# Makes FOLDER/venv; a second run does nothing. Uses PYTHON (default python3). On a machine
# without a GPU, a CPU wheel of torch found through PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL
# saves the download of CUDA libraries.
set -euo pipefail

folder=${1:-.bench/replay}
python=${PYTHON:-python3}
pins=(
  torch==2.13.0
  numpy==2.4.6
  pandas==2.3.3
  pyarrow==23.0.1
  lightning==2.6.6
  "replay-rec[torch]==0.22.0"
)

mkdir -p "$folder"
cd "$folder"
if [[ ! -f venv/.done ]]; then
  "$python" -m venv venv
  venv/bin/python -m pip install --quiet "${pins[@]}"
  touch venv/.done
fi
echo "ready: $folder/venv/bin/python"
