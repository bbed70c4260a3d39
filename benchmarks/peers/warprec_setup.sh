#!/usr/bin/env bash
# Set up the environment in which warprec.py runs WarpRec 2.2.8.
#
#   benchmarks/peers/warprec_setup.sh [FOLDER]      (default: .bench/warprec)
#
# WarpRec is installed without its dependencies, most of which serve its search and its dashboards. It asks for
# Python 3.12, but only one message of it needs that: a backslash inside an f-string, which is taken out, so that
# it runs on Python 3.11 with the same torch as the other programs.
source "$(dirname "$0")/environment.sh"

pins=(
  torch==2.13.0
  numpy==2.4.6
  scipy==1.17.1
  pandas==2.3.3
  polars==1.44.2
  narwhals==2.29.0
  lightning==2.6.6
  torchmetrics==1.9.0
  "ray[data,train,tune]==2.60.0"
  optuna==4.9.0
  hyperopt==0.3.0
  pydantic==2.14.4
  scikit-learn==1.9.1
  loguru==0.7.3
  coolname==5.0.0
  tabulate==0.9.0
  tensorboard==2.21.0
  tensorboardx==2.6.5
)

install() {
  pip "${pins[@]}"
  pip --no-deps --ignore-requires-python warprec==2.2.8
  sed -i "s/ separator {'\\\\t'}\\./ separator./" venv/lib/python3*/site-packages/warprec/utils/config/common.py
}

environment "${1:-.bench/warprec}"
