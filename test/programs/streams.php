<?php
// Generators, a child through pipes, a socket pair, streams that are selected, references and a temporary file in PHP. Usage: streams.php ROUNDS
function squares(): Generator {
    for ($number = 1;; $number++) yield $number => $number * $number;
}

$child = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
[$left, $right] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$file = tmpfile();
$squares = squares();
$seen = [];
for ($round = 1; $round <= (int) $argv[1]; $round++) {
    for ($place = 0; $place < 300; $place++) $seen[crc32("$round $place") % 1009] = ($seen[crc32("$round $place") % 1009] ?? 0) + 1;
    fwrite($pipes[0], "line $round\n");
    fwrite($left, "pair $round\n");
    $answers = [];
    while (count($answers) < 2) {
        $readable = array_diff_key(['child' => $pipes[1], 'pair' => $right], $answers);
        $none = null;
        if (stream_select($readable, $none, $none, 30) === 0) exit(2);
        foreach ($readable as $name => $stream) $answers[$name] = trim(fgets($stream));
    }
    fwrite($file, str_repeat('x', $round));
    $squares->next();
    usleep(40000);
    clearstatcache();
    echo "round $round {$answers['child']} {$answers['pair']} ", count($seen), ' ', $squares->current(), ' ', fstat($file)['size'], "\n";
    if (file_exists('enough')) break;
}
fclose($pipes[0]);
echo 'end ', stream_get_contents($pipes[1]), proc_close($child), ' ', crc32(serialize($seen)), "\n";
