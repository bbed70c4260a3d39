#!/usr/bin/env bash
# Fetch GRU4Rec's author's PyTorch program, which peer_gru4rec.py times.
#
#   benchmarks/gru4rec_setup.sh [FOLDER]      (default: .bench/gru4rec)
#
# The program is not on the package index: it comes from GitHub, one file at one commit, under its
# own licence (free for research and education). It runs in the environment that rectools_setup.sh makes beside
# it, FOLDER/../rectools. Where GitHub is out of reach, put gru4rec_pytorch.py into FOLDER by hand.
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
