# shellcheck shell=bash
# Sourced by the commands of this project: a virtual environment in .venv, with just what requirements.lock names.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { echo "$*" >&2; }
give_up() { say "$*"; exit 1; }
seconds_since() { local now=${EPOCHREALTIME/[.,]/}; printf '%d.%d s' $(((now - $1) / 1000000)) $(((now - $1) / 100000 % 10)); }

# step WHAT COMMAND...: runs the command, counting seconds along; shows its output only if it fails.
step() {
  local what=$1 began=${EPOCHREALTIME/[.,]/} status=0 output counter
  shift
  {
    for ((elapsed = 1; ; elapsed++)); do
      sleep 1
      kill -0 $$ 2>/dev/null || exit 0
      if [[ -t 2 ]]; then printf '\r%s ... %d s' "$what" "$elapsed" >&2
      elif ((elapsed % 15 == 0)); then say "$what ... $elapsed s"; fi
    done
  } 9<&- &
  counter=$!
  output=$("$@" 2>&1 </dev/null) || status=$?
  kill "$counter" && wait "$counter" 2>/dev/null || true
  [[ ! -t 2 ]] || printf '\r' >&2
  [[ $status == 0 ]] || { tail -n 30 <<<"$output" >&2; give_up "$what failed after $(seconds_since "$began")"; }
  say "$what ... $(seconds_since "$began")"
}

can_apt() { [[ $(id -u) == 0 && -e /etc/debian_version ]] && command -v apt-get >/dev/null; }
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q && apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends "$@"
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; print(sys.executable)'
    return
  done
  return 1
}

install_packages() {
  local pip=("$venv/bin/python" -m pip install -q --disable-pip-version-check)
  "$1" -m venv --clear "$venv" &&
    "${pip[@]}" --require-hashes -r "$root/requirements.lock" &&
    "${pip[@]}" --no-deps --no-build-isolation -e "$root"
}

make_environment() {
  local python stamp
  stamp="$root ${PYTHON:-} $(cksum <"$root/requirements.lock")"
  exec 9<"$root"
  if command -v flock >/dev/null && ! flock -n 9; then
    say "Waiting for another run that is making .venv"
    flock 9
  fi
  if [[ ! -x $venv/bin/python || ! -e $venv/stamp || $(<"$venv/stamp") != "$stamp" ]]; then
    if ! python=$(find_python) && can_apt; then
      step "Installing python3-venv with apt" apt_install python3-venv
    fi
    python=$(find_python) || give_up "Python 3.11 or newer with venv is missing: install python3 and python3-venv."
    step "Installing the packages of requirements.lock into .venv" install_packages "$python"
    echo "$stamp" >"$venv/stamp"
  fi
  exec 9<&-
}

# For the check of the AsyncAPI document by its official parser.
need_node() {
  ! command -v node >/dev/null || ! command -v npm >/dev/null || return 0
  can_apt || give_up "node and npm are missing: install nodejs and npm."
  step "Installing nodejs and npm with apt" apt_install nodejs npm
}

make_environment
PATH=$venv/bin:$PATH
cd "$root"
