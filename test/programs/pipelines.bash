# Pipelines, background jobs, coprocesses, traps, here-documents and process substitution. Usage: pipelines.bash ROUNDS
coproc while read -r line; do echo $((line * 3)); done
seen=0
trap 'seen=$((seen + 1))' USR1
for ((round = 1; round <= $1; round++)); do
  sleep 0.05 &
  waited=$!
  count=$(seq 1 $((round * 50)) | while read -r n; do ((n % 7)) || echo "$n"; done | wc -l)
  echo "$round" >&"${COPROC[1]}"
  read -r tripled <&"${COPROC[0]}"
  kill -USR1 $$
  read -r first < <(sleep 0.01; echo "of $round")
  text=$(cat <<< "here $round" | tr a-z A-Z)
  wait "$waited"
  until ! kill -0 "$waited" 2> /dev/null; do wait "$waited"; done
  (exit 3) | (exit 4) | true
  echo "round $round $count $tripled $first $text ${PIPESTATUS[*]} $((seen == round))"
  [ -e enough ] && break
done
eval "exec ${COPROC[1]}>&-"
wait
echo "end $seen"
