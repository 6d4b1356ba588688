#!/bin/bash
# clock.sh NATIVE SECONDS, as root of a machine of its own: a job with a System V semaphore, during which the machine's date is set forward by
# SECONDS (or back), is checkpointed, killed, and restarted when the machine has no such semaphore any more. Its output: `out`.
# Only the standard streams: pipes of whoever started this would lead outside of the job.
for fd in /proc/$$/fd/*; do [ "${fd##*/}" -gt 2 ] && [ "${fd##*/}" -ne 255 ] && eval "exec ${fd##*/}>&-"; done
native=$1 jump=$2
# On the machine's own disk: what it writes here is the host's user's, and a context of another user's is not restarted.
context=$(mktemp) || exit 1
until_ready() { until [ -e ready ]; do kill -0 "$1" || exit 1; sleep 0.1; done; }
sleep 4 # the semaphore is to be younger than the machine, and older than the checkpoint, by more than clocks are rounded to
"$native/cr_run" perl -e '
  use IPC::SysV qw(IPC_PRIVATE IPC_CREAT SETVAL GETVAL);
  my $set = semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT) // die;
  semctl($set, 0, SETVAL, 5) or die;
  open(my $ready, ">", "ready"); close($ready);
  select(undef, undef, undef, 0.05) until -e "go";
  my $value = semctl($set, 0, GETVAL, 0);
  print defined $value ? "value $value\n" : "lost: $!\n";
' </dev/null >out 2>&1 &
job=$!
until_ready $job
sleep 3
date -s "@$(($(date +%s) + jump))" >/dev/null || exit 1
"$native/cr_checkpoint" --kill --tree -f "$context" $job || exit 1
wait $job
ipcrm --all=sem
: >go
"$native/cr_restart" --kmsg-warning -f "$context" </dev/null
