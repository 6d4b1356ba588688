# Children through pipes, closures, signals and hashes in perl. Usage: children.pl ROUNDS
use strict;
use warnings;
use IPC::Open2;
$| = 1;
my $alarms = 0;
$SIG{USR1} = sub { $alarms++ };
my $child = open2(my $from, my $to, 'cat');
my %seen;
for my $round (1 .. $ARGV[0]) {
    print $to "line $round\n";
    my $line = <$from>;
    chomp $line;
    $seen{$_ * $round % 101}++ for 1 .. 300;
    kill 'USR1', $$;
    my $pid = fork // die;
    if (!$pid) { select undef, undef, undef, 0.02; exit $round % 50 }
    waitpid $pid, 0;
    my $status = $? >> 8;
    select undef, undef, undef, 0.02;
    printf "round %d %s %d %d %d\n", $round, $line, scalar(keys %seen), $status, $alarms;
    last if -e 'enough';
}
close $to;
waitpid $child, 0;
print "end $? $alarms\n";
