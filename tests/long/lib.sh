# Shared by the long checks. Sourced, not run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
larder=${LARDER:-$here/../../target/release/larder}
work=$(mktemp -d "${TMPDIR:-/tmp}/larder-long.XXXXXX")
export LARDER_CACHE_DIR=$work/cache LARDER_STATE_DIR=$work/state
rows=()

# Removes the work folder, unless something is mounted in it.
remove_work() {
  if grep -q " $work" /proc/self/mountinfo; then
    echo "a mount is left below $work: not removed" >&2
    return
  fi
  rm -rf --one-file-system "$work"
}
trap remove_work EXIT

# check NAME COMMAND...: runs it, keeps its last line, and notes the outcome.
check() {
  local name=$1 outcome=ok
  shift
  if ! "$@" >"$work/check.log" 2>&1; then
    outcome=FAILED
    cp "$work/check.log" "${TMPDIR:-/tmp}/larder-long-${name// /-}.log"
  fi
  rows+=("$(printf '%-44s %-7s %s' "$name" "$outcome" "$(tail -n 1 "$work/check.log" | cut -c1-100)")")
  echo "${rows[-1]}"
}

# Everything of Larder's that a dead build could leave. Its own file is what every guest's init runs too, and no process
# of a guest outlives that.
left_behind() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    [ ! "$exe" -ef "$larder" ] || echo "process ${exe//[^0-9]/}"
  done
  grep -F "$work" /proc/self/mountinfo || true
  find "$work/state/runs" "$work/state/scratch" -mindepth 1 -maxdepth 1 2>/dev/null || true
}

host_state() {
  find /dev -xdev -printf '%p %y %m %T@\n' 2>/dev/null | grep -vE '^/dev/(pts|shm|tty|ptmx|null|zero|full|random|urandom)' | sort
  # What others mount in /tmp meanwhile is not ours.
  cut -d' ' -f5- /proc/self/mountinfo | awk -v work="$work" 'index($1, "/tmp/") != 1 || index($1, work) == 1'
  cat /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward
}
