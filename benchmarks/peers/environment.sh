# The common part of the *_setup.sh scripts: each defines `install`, which fills the new environment with `pip`.
#
#   environment FOLDER      makes FOLDER/venv; a second run does nothing. Uses PYTHON (default python3).
#
# On a machine without a GPU, a CPU wheel of torch found through PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL saves the
# download of CUDA libraries.
set -euo pipefail

pip() {
  venv/bin/python -m pip install --quiet "$@"
}

environment() {
  mkdir -p "$1"
  cd "$1"
  if [[ ! -f venv/.done ]]; then
    "${PYTHON:-python3}" -m venv venv
    install
    touch venv/.done
  fi
  echo "ready: $1/venv/bin/python"
}
