# A server in memory and its clients, through a socket. Usage: counters.sh ROUNDS
redis-server --port 0 --unixsocket redis.sock --save '' --loglevel warning > redis.log 2>&1 &
server=$!
ask() { redis-cli -s redis.sock "$@"; }
until ask ping > ping 2>&1; do sleep 0.02; done
round=0
while [ "$((round += 1))" -le "$1" ]; do
  ask rpush list "$round" > length
  ask expire list 1000 > set
  sleep 0.03
  echo "round $round $(ask incrby total "$round") $(cat length set | tr '\n' ' ')$(ask lindex list -1)"
  [ -e enough ] && break
done
total=$(ask get total)
ask shutdown nosave
wait "$server"
echo "end $total $?"
