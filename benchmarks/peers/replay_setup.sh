#!/usr/bin/env bash
# Set up the environment in which replay.py runs RePlay.
#
#   benchmarks/peers/replay_setup.sh [FOLDER]      (default: .bench/replay)
source "$(dirname "$0")/environment.sh"

install() {
  pip torch==2.13.0 numpy==2.4.6 pandas==2.3.3 pyarrow==23.0.1 lightning==2.6.6 "replay-rec[torch]==0.22.0"
}

environment "${1:-.bench/replay}"
