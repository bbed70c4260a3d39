#!/usr/bin/env bash
# Set up the environment in which implicit.py runs implicit.
#
#   benchmarks/peers/implicit_setup.sh [FOLDER]      (default: .bench/implicit)
source "$(dirname "$0")/environment.sh"

install() {
  pip implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
}

environment "${1:-.bench/implicit}"
