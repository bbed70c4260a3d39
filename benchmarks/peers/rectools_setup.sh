#!/usr/bin/env bash
# Set up the environment in which rectools.py runs RecTools, and gru4rec.py the program of GRU4Rec's author.
#
#   benchmarks/peers/rectools_setup.sh [FOLDER]      (default: .bench/rectools)
source "$(dirname "$0")/environment.sh"

install() {
  pip torch==2.13.0 numpy==1.26.4 pandas==2.3.3 pytorch-lightning==2.5.2 "RecTools[torch]==0.19.0"
}

environment "${1:-.bench/rectools}"
