// Programs nobody wrote for checkpointing: their output after three lives equals that of one.
#include <sys/stat.h>

#include <filesystem>

#include "check.h"
#include "roundtrip.h"

namespace {

constexpr uid_t kOrdinary = 1000;

bool isThere(const char* program) {
  if (access(program, X_OK) == 0) return true;
  std::printf("  not tested, %s is not installed\n", program);
  return false;
}

std::string scratch(uid_t uid) {
  char directory[] = "/tmp/roundtrip-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  if (geteuid() == 0) CHECK(chown(directory, uid, uid) == 0);
  return directory;
}

roundtrip::Outcome live(const std::vector<std::string>& command, int generations, int firstMs, int intervalMs, blcr::Snapshot snapshot) {
  roundtrip::Job job;
  job.command = command;
  job.uid = geteuid() == 0 ? kOrdinary : geteuid();
  job.directory = scratch(job.uid);
  job.generations = generations;
  job.firstMs = firstMs;
  job.intervalMs = intervalMs;
  job.snapshot = snapshot;
  const roundtrip::Outcome outcome = roundtrip::run(job);
  if (getenv("BLCR_KEEP") == nullptr) std::filesystem::remove_all(job.directory);
  return outcome;
}

/** Same output and status as without interruption, and really interrupted: run() fails when a checkpoint finds nobody. */
void survive(const std::vector<std::string>& command, int firstMs, int intervalMs, blcr::Snapshot snapshot = blcr::Snapshot::kFork) {
  const roundtrip::Outcome plain = live(command, 0, 0, 0, snapshot);
  const roundtrip::Outcome interrupted = live(command, 3, firstMs, intervalMs, snapshot);
  CHECK(plain.status == 0 && !plain.output.empty());
  CHECK(interrupted.status == 0);
  CHECK(interrupted.output == plain.output);
  if (interrupted.output != plain.output)
    std::printf("  plain:\n%.2000s\n  interrupted:\n%.2000s\n", plain.output.c_str(), interrupted.output.c_str());
}

const char* const kShell = R"END(
producer() { for i in $(seq 1 400); do echo "line $i of $$"; sleep 0.005; done; }
producer | while read -r a n b p; do total=$((total + n)); [ $((n % 100)) = 0 ] && echo "at $n: $total, same shell: $([ "$p" = $$ ] && echo yes)"; done
sleep 0.3 & waited=$!
wait $waited; echo "waited $?"
seq 1 20000 | sort -n | tail -1
(exit 3) | true; echo "status ${PIPESTATUS[*]}"
trap 'echo caught' USR1; kill -USR1 $$; echo end
)END";

/** A shell with job control inside a terminal that another program holds. */
const char* const kTerminal = R"END(
set -m
name=$(tty); stty size
stty -echo intr ^X
(for i in $(seq 1 60); do echo "line $i"; sleep 0.02; done)
(sleep 0.3; [ "$(tty)" = "$name" ] && [ "/dev/$(ps -o tty= -p $$ | tr -d ' ')" = "$name" ] && echo "same terminal")
stty -a | grep -o 'intr = ^X'; stty -a | grep -o -e '-echo '
echo "lives in the foreground" > /dev/tty
)END";

const char* const kPython = R"END(
import threading, time, hashlib, sys
try:
    import numpy
except ImportError:
    numpy = None
lock, total = threading.Lock(), [0]
def work(step):
    for i in range(150):
        with lock: total[0] += step
        time.sleep(0.01)
threads = [threading.Thread(target=work, args=(k + 1,)) for k in range(4)]
for t in threads: t.start()
digest = hashlib.sha256()
start = time.monotonic()
for i in range(60):
    if numpy is not None:
        a = numpy.random.RandomState(i).rand(120, 120)
        digest.update(numpy.round(a @ a, 6).tobytes())
    else:
        digest.update(str(sum(x * x for x in range(20000))).encode())
    if i % 20 == 0: print('step', i, digest.hexdigest()[:16], flush=True)
    time.sleep(0.02)
for t in threads: t.join()
print(total[0], digest.hexdigest())
assert time.monotonic() - start < 60
)END";

const char* const kNode = R"END(
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { pbkdf2, createHash } = require('node:crypto');
const { readFile } = require('node:fs');
const worker = new Worker("const { parentPort } = require('node:worker_threads'); let n = 0; parentPort.on('message', (m) => { n += m; parentPort.postMessage(n); });", { eval: true });
let ticks = 0, sum = 0, files = 0, keys = createHash('sha256');
worker.on('message', (n) => { sum = n; });
const timer = setInterval(() => {
  ticks += 1;
  worker.postMessage(ticks);
  readFile('/etc/hostname', (error) => { if (!error) files += 1; });
  if (ticks % 25 === 0) pbkdf2('secret', String(ticks), 2000, 32, 'sha256', (e, key) => { console.log(ticks, key.toString('hex').slice(0, 8)); });
  if (ticks === 100) {
    clearInterval(timer);
    setTimeout(() => { console.log('end', ticks, sum, files > 90); worker.terminate(); }, 300);
  }
}, 20);
)END";

const char* const kJava = R"END(
import java.util.*; import java.util.concurrent.*;
public class Job {
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    long sum = 0;
    for (int round = 0; round < 30; round++) {
      List<Future<Long>> parts = new ArrayList<>();
      for (int k = 0; k < 4; k++) { final long seed = round * 4 + k; parts.add(pool.submit(() -> { long x = seed; StringBuilder s = new StringBuilder(); for (int i = 0; i < 20000; i++) { x = x * 6364136223846793005L + 1; if (i % 100 == 0) s.append(x); } Thread.sleep(20); return x ^ s.toString().hashCode(); })); }
      for (Future<Long> part : parts) sum = sum * 31 + part.get();
      if (round % 10 == 0) System.out.println(round + " " + sum);
      Thread.sleep(40);
    }
    System.out.println("sum " + sum);
    pool.shutdown();
  }
}
)END";

}  // namespace

TEST(shellPipeline) {
  if (isThere("/bin/bash")) survive({"/bin/bash", "-c", kShell}, 300, 350);
}
TEST(shellPipelinePlain) {
  if (isThere("/bin/bash")) survive({"/bin/bash", "-c", kShell}, 200, 150, blcr::Snapshot::kPlain);
}
TEST(python) {
  if (isThere("/usr/bin/python3")) survive({"/usr/bin/python3", "-c", kPython}, 500, 250);
}
TEST(script) {
  const std::string text = std::string("SCRIPT=") + kTerminal;
  const std::vector<std::string> command = {"/usr/bin/env", text, "/usr/bin/script", "-qec", "exec /bin/bash -c \"$SCRIPT\"", "/dev/null"};
  if (isThere("/usr/bin/script") && isThere("/bin/bash")) survive(command, 300, 300);
}
TEST(node) {
  if (isThere("/usr/bin/node")) survive({"/usr/bin/node", "-e", kNode}, 600, 300);
}
TEST(java) {
  if (!isThere("/usr/bin/java") || !isThere("/usr/bin/javac")) return;
  const std::string directory = scratch(0);
  FILE* source = std::fopen((directory + "/Job.java").c_str(), "w");
  std::fputs(kJava, source);
  std::fclose(source);
  CHECK(std::system(("/usr/bin/javac -d " + directory + " " + directory + "/Job.java && chmod -R a+rX " + directory).c_str()) == 0);
  survive({"/usr/bin/java", "-Xmx128m", "-cp", directory, "Job"}, 900, 300);
  std::filesystem::remove_all(directory);
}
TEST(xz) {
  if (!isThere("/usr/bin/xz")) return;
  const std::string directory = scratch(0);
  const std::string input = directory + "/input";
  CHECK(std::system(
            ("tar cf - /usr/lib/x86_64-linux-gnu/*.a /usr/bin 2>/dev/null | head -c 8000000 > " + input + " && chmod -R a+rX " + directory)
                .c_str()) == 0);
  survive({"/usr/bin/xz", "-6", "-T2", "--block-size=1MiB", "-c", "-k", input}, 300, 300, blcr::Snapshot::kPlain);
  std::filesystem::remove_all(directory);
}

CHECK_MAIN
