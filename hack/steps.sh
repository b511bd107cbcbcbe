# shellcheck shell=bash
# Sourced. `step TITLE COMMAND…` runs a command quietly and prints one line with the time it took; all that it
# printed goes to $step_log, and to the terminal when it fails. `step_table` prints every step's time once more.
step_log=${STEP_LOG:-$(mktemp "${TMPDIR:-/tmp}/cri-ts.XXXXXX")}
step_titles=()
step_times=()

step() {
  local title=$1 start=$EPOCHREALTIME from
  shift
  from=$(wc -c <"$step_log")
  if ! "$@" >>"$step_log" 2>&1 </dev/null; then
    printf '  FAILED   %s\n' "$title"
    tail -c "+$((from + 1))" "$step_log"
    exit 1
  fi
  local ms=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000))
  step_titles+=("$title")
  step_times+=("$ms")
  printf '%6d.%d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$title"
}

step_table() {
  local i total=0
  printf '\n%-46s %9s\n' step ms
  for i in "${!step_titles[@]}"; do
    printf '%-46s %9d\n' "${step_titles[i]}" "${step_times[i]}"
    total=$((total + step_times[i]))
  done
  printf '%-46s %9d\n\n' 'in all' "$total"
}
