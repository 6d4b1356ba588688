# Threads with queues, fibers, a child process, pipes and big numbers in Ruby. Usage: queues.rb ROUNDS
$stdout.sync = true
tasks = Queue.new
answers = Queue.new
workers = 3.times.map { Thread.new { while (number = tasks.pop) do answers << number * number end } }
child = IO.popen('cat', 'r+')
fiber = Fiber.new { a, b = 0, 1; loop { Fiber.yield(a); a, b = b, a + b } }
reader, writer = IO.pipe
signals = 0
trap('USR1') { signals += 1 }
last = nil
1.upto(ARGV[0].to_i) do |round|
  10.times { |place| tasks << round * 10 + place }
  sum = 10.times.sum { answers.pop }
  child.puts("line #{round}")
  line = child.gets.chomp
  pid = fork { reader.close; writer.puts(round * 7); sleep 0.04; exit!(round % 40) }
  said = reader.gets.to_i
  Process.wait(pid)
  status = $?.exitstatus
  Process.kill('USR1', $$)
  sleep 0.001 until signals == round
  last = fiber.resume
  puts "round #{round} #{sum} #{line} #{said} #{status} #{signals} #{last.to_s.length}"
  break if File.exist?('enough')
end
workers.each { tasks << nil }
workers.each(&:join)
child.close
puts "end #{last} #{$?.exitstatus}"
