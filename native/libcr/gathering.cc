#include "gathering.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "callbacks.h"

extern "C" int __libc_allocate_rtsig(int high);  // glibc: takes a signal out of SIGRTMIN..SIGRTMAX

namespace blcr::libcr {

namespace {

enum Stage : uint32_t {
  kCalled,    // signalled
  kRunning,   // in its handler
  kArrived,   // held: all its callbacks are ready
  kFinished,  // everything of it has returned, or it will not come
};

struct Slot {
  std::atomic<pid_t> tid{0};
  Word stage{kCalled};
  std::atomic<bool> came{false};  // its handler has run
};

constexpr uint32_t kMaxThreads = 32768;
constexpr int kPatienceMs = 10;

int gatherSignal = 0;
Slot* slots = nullptr;  // mapped once: room for all threads, of which untouched pages cost nothing
std::atomic<uint32_t> slotCount{0};

Slot* slotOf(pid_t tid) {
  const uint32_t count = slotCount.load();
  for (uint32_t index = 0; index < count; ++index) {
    if (slots[index].tid.load() == tid) return &slots[index];
  }
  return nullptr;
}

void advance(Slot& slot, Stage stage) {
  slot.stage = stage;
  state.progress.fetch_add(1);
  wakeAll(state.progress);
}

/** The calling thread's part in a checkpoint, in its signal handler. */
class Participation final : public Group {
 public:
  explicit Participation(Slot& slot)
      : Group(self == nullptr ? std::span<Callback>() : std::span(self->callbacks), CR_SIGNAL_CONTEXT), slot_(slot) {}

 private:
  int reachEnd() override {
    advance(slot_, kArrived);
    while (state.phase.load() == kGathering) waitWhile(state.phase, kGathering);
    return state.outcome.load();
  }
  Slot& slot_;
};

bool isHeld(int outcome) {
  const int own = self == nullptr ? state.holdUninit.load() : self->hold.load();
  const int flags = own == CR_HOLD_DFLT ? state.holdInit.load() : own;
  return (flags & (outcome > 0 ? CR_HOLD_RSTRT : CR_HOLD_CONT)) != 0;
}

void onSignal(int, siginfo_t* info, void*) {
  const int before = errno;
  Slot* const slot = info->si_code == SI_TKILL && info->si_pid == ::getpid() && state.phase.load() == kGathering
                         ? slotOf(static_cast<pid_t>(::syscall(SYS_gettid)))
                         : nullptr;
  uint32_t called = kCalled;
  if (slot != nullptr) slot->came = true;
  if (slot != nullptr && slot->stage.compare_exchange_strong(called, kRunning)) {
    Participation participation(*slot);
    const int outcome = participation.run();
    runHook(outcome, self == nullptr ? CR_HOOK_CONT_NO_CALLBACKS : CR_HOOK_CONT_SIGNAL_CONTEXT);
    const uint32_t round = state.round.load();
    const bool held = isHeld(outcome);
    advance(*slot, kFinished);
    while (held && state.round.load() == round) waitWhile(state.round, round);
  }
  errno = before;
}

/** Calls `visit` with the number of each thread of this process; does not allocate. */
template <typename Visit>
void eachThread(Visit visit) {
  const int directory = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  alignas(8) char buffer[4096];
  long length = 0;
  while ((length = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < length;) {
      unsigned short size = 0;
      std::memcpy(&size, buffer + at + 16, sizeof size);  // d_reclen of linux_dirent64, before d_type and d_name
      if (const int tid = std::atoi(buffer + at + 19); tid > 0) visit(static_cast<pid_t>(tid));
      at += size;
    }
  }
  ::close(directory);
}

pid_t gatheredPid = 0;  // a restart may have given us other numbers since

bool hasEnded(pid_t tid) { return ::getpid() == gatheredPid && ::syscall(SYS_tgkill, gatheredPid, tid, 0) != 0; }

/** A thread that will not come: it has ended, or blocks the signal and has nothing to do anyway. */
bool isLost(pid_t tid) {
  if (hasEnded(tid)) return true;
  char path[64], text[2048];
  std::strcpy(path, "/proc/self/task/");
  char digits[16] = {};
  size_t count = 0;
  for (pid_t rest = tid; rest > 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
  std::reverse(digits, digits + count);
  std::strcat(std::strcat(path, digits), "/status");
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  const ssize_t length = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (length <= 0) return true;
  text[length] = '\0';
  if (const char* line = std::strstr(text, "\nState:\t"); line != nullptr && line[8] == 'Z') return true;
  for (const Client* client = state.clients; client != nullptr; client = client->next) {
    if (client->tid == tid && !client->callbacks.empty()) return false;
  }
  const char* blocked = std::strstr(text, "\nSigBlk:\t");
  return blocked != nullptr && (std::strtoull(blocked + 9, nullptr, 16) >> (gatherSignal - 1) & 1) != 0;
}

/** Signals threads that have not been signalled yet; true when there were any. */
bool callThreads(pid_t agent) {
  bool fresh = false;
  eachThread([&](pid_t tid) {
    const uint32_t index = slotCount.load();
    if (tid == agent || index == kMaxThreads || slotOf(tid) != nullptr) return;
    slots[index].stage = kCalled;
    slots[index].came = false;
    slots[index].tid = tid;
    slotCount = index + 1;
    fresh = true;
    if (::syscall(SYS_tgkill, ::getpid(), tid, gatherSignal) != 0) slots[index].stage = kFinished;
  });
  return fresh;
}

/** Waits until every slot has come to `stage`; false when given up. */
template <typename GivenUp>
bool awaitStage(Stage stage, GivenUp givenUp) {
  for (uint32_t index = 0; index < slotCount.load();) {
    Slot& slot = slots[index];
    const uint32_t seen = state.progress.load();
    uint32_t now = slot.stage.load();
    if (now >= stage) {
      ++index;
      continue;
    }
    waitWhile(state.progress, seen, kPatienceMs);
    if (state.progress.load() != seen) continue;
    if (givenUp()) return false;
    // A thread that is on its way after all finds its slot finished and turns back.
    const pid_t tid = slot.tid.load();
    if (now == kCalled ? isLost(tid) : hasEnded(tid)) slot.stage.compare_exchange_strong(now, kFinished);
  }
  return true;
}

bool installHandler(struct sigaction* before) {
  struct sigaction action{};
  action.sa_sigaction = onSignal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(gatherSignal, &action, before) == 0;
}

/** What a program that does not know better has made of our signal: it gets that back after each checkpoint. */
struct sigaction programs{};
bool borrowed = false;

void borrowSignal() {
  struct sigaction before{};
  if (borrowed || !installHandler(&before) || before.sa_sigaction == onSignal) return;
  programs = before;
  borrowed = true;
}

/** `left`: a thread may still have our signal pending, which the program's action is not for. */
void giveBackSignal(bool left) {
  if (!borrowed) return;
  borrowed = false;
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  if (left) ::sigaction(gatherSignal, &ignore, nullptr);  // pending ones go with it
  ::sigaction(gatherSignal, &programs, nullptr);
}

}  // namespace

bool takeSignal() {
  if (gatherSignal != 0) return true;
  if (slots == nullptr) {
    void* const room =
        ::mmap(nullptr, kMaxThreads * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    slots = static_cast<Slot*>(room);
  }
  for (int number = 0; (number = ::__libc_allocate_rtsig(0)) > 0;) {
    struct sigaction before{};
    if (::sigaction(number, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;  // the program's own
    gatherSignal = number;
    return installHandler(nullptr);
  }
  return false;
}

bool gather(const std::function<bool()>& givenUp) {
  slotCount = 0;
  gatheredPid = ::getpid();
  borrowSignal();
  state.phase = kGathering;
  const auto agent = static_cast<pid_t>(::syscall(SYS_gettid));
  while (callThreads(agent)) {
    if (!awaitStage(kArrived, givenUp)) return false;
  }
  return true;
}

void awaitFinished() {
  for (uint32_t index = 0; index < slotCount.load(); ++index) {
    uint32_t called = kCalled;  // the checkpoint was given up before it came
    slots[index].stage.compare_exchange_strong(called, kFinished);
  }
  static_cast<void>(awaitStage(kFinished, [] { return false; }));
  giveBackSignal(std::any_of(slots, slots + slotCount.load(), [](const Slot& slot) { return !slot.came.load(); }));
}

void forgetThreads() {
  slotCount = 0;
  giveBackSignal(false);
}

void runHook(int outcome, cr_hook_event_t kind) {
  if (outcome < 0) return;
  const int event = kind + (outcome > 0 ? CR_HOOK_RSTRT_SIGNAL_CONTEXT : 0);
  if (const cr_hook_fn_t hook = state.hooks[event].load(); hook != nullptr) hook(static_cast<cr_hook_event_t>(event));
}

}  // namespace blcr::libcr

using namespace blcr::libcr;

cr_hook_fn_t cr_register_hook(cr_hook_event_t event, cr_hook_fn_t function) {
  const int number = static_cast<int>(event);
  const int problem = self == nullptr && frame == nullptr                                    ? CR_ENOINIT
                      : number < 0 || number >= CR_NUM_HOOKS || function == CR_HOOK_FN_ERROR ? EINVAL
                                                                                             : 0;
  if (problem == 0) return state.hooks[number].exchange(function);
  errno = problem;
  return CR_HOOK_FN_ERROR;
}

int cr_hold_ctrl(int scope, int flags) {
  const auto fail = [](int code) {
    errno = code;
    return -1;
  };
  if (self == nullptr && frame == nullptr) return fail(CR_ENOINIT);
  std::atomic<int>* value = nullptr;
  static std::atomic<int> agents{CR_HOLD_DFLT};  // the agent is never held
  if (scope == CR_HOLD_SCOPE_THREAD) value = self != nullptr ? &self->hold : &agents;
  if (scope == CR_HOLD_SCOPE_INIT) value = &state.holdInit;
  if (scope == CR_HOLD_SCOPE_UNINIT) value = &state.holdUninit;
  if (value == nullptr) return fail(EINVAL);
  if (flags == CR_HOLD_READ) return value->load();
  const bool valid = (flags & ~CR_HOLD_BOTH) == 0 || (flags == CR_HOLD_DFLT && scope == CR_HOLD_SCOPE_THREAD);
  return valid ? value->exchange(flags) : fail(EINVAL);
}
