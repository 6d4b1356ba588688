# Pipelines, subshells, background jobs and here-documents of a plain shell. Usage: pipelines.sh ROUNDS
round=0
total=0
while [ "$round" -lt "$1" ]; do
  round=$((round + 1))
  sleep 0.04 &
  waited=$!
  sum=$(seq 1 $((round * 20)) | { s=0; while read -r n; do s=$((s + n)); done; echo "$s"; })
  total=$((total + sum))
  text=$(cat <<END | tr a-z A-Z
here $round
END
  )
  wait "$waited"
  echo "round $round $sum $total $text $(sh -c 'exit 5' || echo $?)"
  [ -e enough ] && break
done
echo "end $total"
