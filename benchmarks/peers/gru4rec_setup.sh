#!/usr/bin/env bash
# Download the PyTorch program of GRU4Rec's author, which gru4rec.py measures.
#
#   benchmarks/peers/gru4rec_setup.sh [FOLDER]      (default: .bench/gru4rec)
#
# The program is not on the package index: one file is downloaded from GitHub at a fixed commit. It has its own
# licence (free for research and education). It runs in the environment that rectools_setup.sh sets up in
# FOLDER/../rectools. Without access to GitHub, copy gru4rec_pytorch.py into FOLDER by hand.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-.bench/gru4rec}
address=https://github.com/hidasib/GRU4Rec_PyTorch_Official.git
commit=4e7d23674cc3f1ea2fdee78246de11fbf6d47087
file=gru4rec_pytorch.py

mkdir -p "$folder"
bash "$here/rectools_setup.sh" "$(dirname "$folder")/rectools"
cd "$folder"
if [[ ! -f $file ]]; then
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  git -C "$copy" init --quiet
  git -C "$copy" fetch --quiet --depth 1 "$address" "$commit"
  git -C "$copy" show "FETCH_HEAD:$file" > "$copy/$file"
  mv "$copy/$file" .
fi
echo "ready: $folder/$file"
