# An event loop with timers, a server and its client, coroutines and a child in Tcl. Usage: events.tcl ROUNDS
set rounds [lindex $argv 0]
proc serve {channel address port} {
  chan configure $channel -buffering line -blocking 0
  chan event $channel readable [list answer $channel]
}
proc answer {channel} {
  if {[chan gets $channel line] >= 0} { puts $channel "served $line" } elseif {[chan eof $channel]} { close $channel }
}
proc counting {} {
  yield
  set number 0
  while 1 { yield [incr number 3] }
}
coroutine count counting
set listener [socket -server serve -myaddr 127.0.0.1 0]
set client [socket 127.0.0.1 [lindex [chan configure $listener -sockname] 2]]
chan configure $client -buffering line -blocking 0
set child [open |cat r+]
chan configure $child -buffering line
chan event $client readable { if {[chan gets $client line] >= 0} { set served $line } }
for {set round 1} {$round <= $rounds} {incr round} {
  puts $client $round
  vwait served
  puts $child "line $round"
  after 40 {set slept 1}
  vwait slept
  dict incr seen [expr {$round * 37 % 101}]
  puts "round $round $served [gets $child] [count] [dict size $seen]"
  flush stdout
  if {[file exists enough]} break
}
close $child
puts "end [count]"
