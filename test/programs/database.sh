# An open database with a transaction that lasts over several rounds, and readers of it. Usage: database.sh ROUNDS
db=$PWD/database-$$
{
  echo 'pragma journal_mode=wal; create table n(round integer primary key, text);'
  round=0
  while [ "$round" -lt "$1" ]; do
    round=$((round + 1))
    [ $((round % 4)) = 1 ] && echo 'begin;'
    echo "insert into n select $round + 1000 * value, hex(value * $round) from generate_series(1, 40);"
    [ $((round % 4)) = 0 ] && echo 'commit;'
    echo "select 'round', $round, count(*), sum(round), max(length(text)) from n;"
    sleep 0.04
    [ -e enough ] && break
  done
  [ $((round % 4)) = 0 ] || echo 'rollback;'
  echo "pragma integrity_check; select 'end ' || count(*), sum(round) from n;"
} | stdbuf -oL sqlite3 -batch "$db"
rm -f "$db" "$db-wal" "$db-shm"
