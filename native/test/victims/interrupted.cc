// A signal handler that sleeps, having interrupted a function of the vdso.
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "victim.h"

namespace {

constexpr uintptr_t kMostCode = 8192;
volatile sig_atomic_t done = 0;

void onAlarm(int, siginfo_t*, void* context) {
  const auto rip = uintptr_t(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  const auto vdso = uintptr_t(getauxval(AT_SYSINFO_EHDR));
  if (done || rip < vdso || rip >= vdso + kMostCode) return;
  while (!mayEnd("go")) usleep(10000);
  done = 1;
}

}  // namespace

int main() {
  struct sigaction action{};
  action.sa_sigaction = onAlarm;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval often{{0, 700}, {0, 700}};
  setitimer(ITIMER_REAL, &often, nullptr);
  int64_t last = 0;
  while (!done) {
    const int64_t now = clockNs(CLOCK_MONOTONIC);
    REQUIRE(now >= last);
    last = now;
  }
  puts("handler kept");
  return 0;
}
