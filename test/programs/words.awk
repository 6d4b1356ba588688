# Associative arrays, a coprocess and a pipe in gawk. Usage: gawk -v rounds=ROUNDS -f words.awk
BEGIN {
  sorter = "cat"
  for (round = 1; round <= rounds; round++) {
    for (i = 0; i < 400; i++) count[(i * round) % 97]++
    print round |& sorter
    sorter |& getline answer
    "sleep 0.04; echo slept " round | getline slept
    close("sleep 0.04; echo slept " round)
    sum = 0
    for (word in count) sum += count[word] * word
    print "round", round, length(count), sum, answer, slept
    fflush()
    if ((getline line < "enough") >= 0) break
  }
  close(sorter)
  print "end", sum
}
