#!/bin/bash
# One leg of a journey through kernels: leg.sh NATIVE NUMBER [last]. In every directory here a job is started (leg 0: its file `command`) or goes
# on from the context of the leg before, and is checkpointed and killed, or (last) may finish. Writes `done-NUMBER` into it, and `log`.
# $BASELINE: what the programs are confined to.
# Only the standard streams: pipes of whoever started this would lead outside of the jobs.
for fd in /proc/$$/fd/*; do [ "${fd##*/}" -gt 2 ] && [ "${fd##*/}" -ne 255 ] && eval "exec ${fd##*/}>&-"; done
native=$1 number=$2 last=$3
temporary=50 # low byte of CR_ETEMPFAIL: not restarted yet, or busy
for directory in */; do
  cd "$directory" || exit 1
  echo "leg $number on $(uname -r)" >>log
  if [ "$number" = 0 ]; then
    "$native/blcr-keeper" run ${BASELINE:+--cpu-baseline "$BASELINE"} -- bash ./command </dev/null >out 2>>log &
    while [ ! -e ready ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
  else
    [ "$last" = last ] && : >go
    "$native/cr_restart" --kmsg-warning -f "context-$((number - 1))" </dev/null >>log 2>&1 &
  fi
  job=$! status=0
  if [ "$last" != last ]; then
    status=$temporary
    for try in $(seq 300); do
      [ $status = $temporary ] || break
      sleep 0.1
      "$native/cr_checkpoint" --kill --tree -f "context-$number" $job >>log 2>&1
      status=$?
    done
    [ $status = 0 ] || kill $job
  fi
  wait $job
  ended=$?
  [ "$last" = last ] && status=$ended
  echo $status >"done-$number"
  cd ..
done
