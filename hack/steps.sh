# shellcheck shell=bash
# Sourced. `step TITLE COMMAND…` runs a command quietly and prints one line with the time it took; when it fails,
# all that it printed. Times go to the file $STEP_TIMES as well, if it is set: step_table prints them once more.

step() {
  local title=$1 start=$EPOCHREALTIME log
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/cri-ts-step.XXXXXX")
  # In a subshell with `set -e` in force, which `if` would take away.
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null &
  if ! wait $!; then
    printf '  FAILED  %s\n' "$title"
    cat "$log"
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
  local ms=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000))
  printf '%4d.%03d s  %s\n' $((ms / 1000)) $((ms % 1000)) "$title"
  [ -z "${STEP_TIMES:-}" ] || printf '%d\t%s\n' "$ms" "$title" >>"$STEP_TIMES"
}

step_table() {
  awk -F '\t' '
    BEGIN { printf "%-44s %8s\n", "step", "ms" }
    { printf "%-44s %8d\n", $2, $1; total += $1 }
    END { printf "%-44s %8d\n", "in all", total }' "$STEP_TIMES"
}
