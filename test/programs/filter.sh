# A program in Go (fzf, which answers line by line as a filter) between a shell and its rounds. Usage: bash filter.sh ROUNDS
coproc fzf --filter=line --no-sort
filter=$COPROC_PID
for ((round = 1; round <= $1; round++)); do
  for ((place = 0; place < 50; place++)); do echo "other $place"; done >&"${COPROC[1]}"
  echo "a line $round" >&"${COPROC[1]}"
  read -r answer <&"${COPROC[0]}"
  sleep 0.04
  echo "round $round $answer"
  [ -e enough ] && break
done
eval "exec ${COPROC[1]}>&-"
wait "$filter"
echo "end $?"
