#include "dump/tasks/posix_timers.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "base/clock.h"
#include "base/codes.h"
#include "base/io.h"
#include "dump/tasks/record_process.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** "notify: signal/tid.123", "none/pid.1", "thread/…" */
bool applyNotify(std::string_view value, image::PosixTimer& timer) {
  const size_t slash = value.find('/');
  const size_t dot = value.find('.');
  if (slash == std::string_view::npos || dot == std::string_view::npos || dot < slash) return false;
  const std::string_view kind = value.substr(0, slash);
  timer.notify = kind == "none" ? SIGEV_NONE : kind == "thread" ? SIGEV_THREAD : SIGEV_SIGNAL;
  std::string_view number = value.substr(dot + 1);
  if (value.substr(slash + 1, dot - slash - 1) == "tid") {
    timer.notify |= SIGEV_THREAD_ID;
    timer.tid = int32_t(takeNumber(number, 10).value_or(0));
  }
  return true;
}

bool applyTimerLine(std::string_view key, std::string_view value, image::PosixTimer& timer) {
  skipBlanks(value);
  if (key == "signal") {
    timer.signal = int32_t(takeNumber(value, 10).value_or(0));
    if (!takeChar(value, '/')) return false;
    if (value.starts_with("0x")) value.remove_prefix(2);
    timer.sigvalue = takeNumber(value, 16).value_or(0);  // "(null)" for 0
  } else if (key == "notify") {
    return applyNotify(value, timer);
  } else if (key == "ClockID") {
    const bool negative = takeChar(value, '-');
    const auto clock = int32_t(takeNumber(value, 10).value_or(0));
    timer.clock = negative ? -clock : clock;
  }
  return true;
}

constexpr int32_t kOwnThread = -2;  // CLOCK_THREAD_CPUTIME_ID of whoever made the timer, as /proc shows it

/** Nanoseconds left. */
Result<int64_t> timeLeft(Foothold& foothold, int32_t id) {
  RemoteCall call{SYS_timer_gettime, {uint64_t(id), foothold.scratch().data()}};
  BLCR_TRY(foothold.run(std::span(&call, 1)));
  if (call.result != 0) return Error{int(-call.result), "timer " + std::to_string(id)};
  auto value = foothold.scratch().memory().get<std::array<int64_t, 4>>(foothold.scratch().data());
  return value ? Result<int64_t>((*value)[2] * 1000000000 + (*value)[3]) : value.error();
}

/**
 * Whose time it is: the kernel does not tell, but a thread has such timers signal itself, and that of the task which is asked, the leader's
 * mostly, runs down while it makes the very calls that look at it.
 */
Status findOwner(FrozenProcess& process, image::PosixTimer& timer) {
  if (timer.clock != kOwnThread) return {};
  Foothold& foothold = *process.foothold;
  const bool isAlone = process.tasks.size() == 1 && !process.hasLostLeader();  // whose may have been its main thread's
  timer.owner = (timer.notify & SIGEV_THREAD_ID) != 0 ? timer.tid : isAlone ? process.pid : 0;
  if (timer.owner != 0) return {};
  constexpr int64_t kLongestTick = 10000000;  // of a clock that is as coarse as the kernel's slowest tick
  const auto before = timeLeft(foothold, timer.id);
  if (!before) return before.error();
  for (const int64_t end = nowNs() + 2 * kLongestTick; timer.owner == 0 && nowNs() < end;) {
    const auto after = timeLeft(foothold, timer.id);
    if (!after) return after.error();
    if (after.value() != before.value()) timer.owner = process.speaker();
  }
  if (timer.owner != 0) return {};
  return Error{kErrorNoSupport, "process " + std::to_string(process.pid) + ": timer " + std::to_string(timer.id) +
                                    " runs by the time of one thread (CLOCK_THREAD_CPUTIME_ID), and nobody is told of which"};
}

siginfo_t infoOf(const image::PendingSignal& signal) {
  siginfo_t info{};
  std::memcpy(&info, signal.siginfo.data(), std::min(signal.siginfo.size(), sizeof info));
  return info;
}

using Signals = std::vector<image::PendingSignal>;

bool waitsFor(const Signals& signals, const image::PosixTimer& timer) {
  return std::any_of(signals.begin(), signals.end(), [&timer](const image::PendingSignal& signal) {
    const siginfo_t info = infoOf(signal);
    return info.si_code == SI_TIMER && info.si_timerid == timer.id;
  });
}

bool waitsForAlarm(const Signals& signals) {
  return std::any_of(signals.begin(), signals.end(), [](const image::PendingSignal& signal) {
    const siginfo_t info = infoOf(signal);
    return info.si_signo == SIGALRM && info.si_code == SI_KERNEL;
  });
}

Status takeLate(FrozenProcess& process, pid_t tid, bool shared, image::Process& into, Signals& known) {
  auto now = peekSignals(tid, shared);
  if (!now) return now.error();
  for (image::PosixTimer& timer : into.posixTimers) {
    if (waitsFor(known, timer) || !waitsFor(*now, timer)) continue;
    const auto left = timeLeft(*process.foothold, timer.id);  // none, or a period's: it was read before or after it ran out
    if (!left) return left.error();
    timer.valueNs = left.value();
  }
  if (shared && !waitsForAlarm(known) && waitsForAlarm(*now)) into.timers[ITIMER_REAL].valueUs = 0;
  known = *std::move(now);
  return {};
}

}  // namespace

Status takeLateSignals(FrozenProcess& process, image::Process& into) {
  BLCR_TRY(takeLate(process, process.speaker(), true, into, into.pending));
  std::set<int32_t> told;
  for (const image::PosixTimer& timer : into.posixTimers)
    if ((timer.notify & SIGEV_THREAD_ID) != 0) told.insert(timer.tid);
  for (image::Task& task : into.tasks)
    if (told.contains(task.tid)) BLCR_TRY(takeLate(process, task.tid, false, into, task.pending));
  return {};
}

Result<std::vector<image::PosixTimer>> parseTimers(std::string_view text) {
  std::vector<image::PosixTimer> timers;
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Error{EINVAL, "timers: malformed line"};
    std::string_view value = line.substr(colon + 1);
    if (line.substr(0, colon) == "ID") {
      skipBlanks(value);
      timers.emplace_back();
      timers.back().id = int32_t(takeNumber(value, 10).value_or(0));
    } else if (timers.empty() || !applyTimerLine(line.substr(0, colon), value, timers.back())) {
      return Error{EINVAL, "timers: malformed line: " + std::string(line.substr(0, 60))};
    }
  }
  return timers;
}

Status recordPosixTimers(FrozenProcess& process, std::vector<image::PosixTimer>& into) {
  Foothold& foothold = *process.foothold;
  auto text = readFile("/proc/" + std::to_string(process.speaker()) + "/timers");
  if (!text && text.error().code == ENOENT) return {};
  if (!text) return text.error();
  auto timers = parseTimers(*text);
  if (!timers) return timers.error();
  constexpr size_t kBatch = Scratch::kMaxCalls / 2;
  for (size_t first = 0; first < timers->size(); first += kBatch) {
    const size_t count = std::min(kBatch, timers->size() - first);
    std::vector<RemoteCall> calls;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t id = uint64_t((*timers)[first + i].id);
      calls.push_back({SYS_timer_gettime, {id, foothold.scratch().data() + i * 32}});
      calls.push_back({SYS_timer_getoverrun, {id}});
    }
    BLCR_TRY(foothold.run(calls));
    std::vector<std::array<int64_t, 4>> values(count);
    BLCR_TRY(foothold.scratch().memory().read(foothold.scratch().data(), std::as_writable_bytes(std::span(values))));
    for (size_t i = 0; i < count; ++i) {
      image::PosixTimer& timer = (*timers)[first + i];
      if (calls[2 * i].result != 0 || calls[2 * i + 1].result < 0)
        return Error{EINVAL, "process " + std::to_string(process.pid) + ": timer " + std::to_string(timer.id)};
      timer.intervalNs = values[i][0] * 1000000000 + values[i][1];
      timer.valueNs = values[i][2] * 1000000000 + values[i][3];
      timer.overrun = int32_t(calls[2 * i + 1].result);
    }
  }
  for (image::PosixTimer& timer : *timers) BLCR_TRY(findOwner(process, timer));
  into = *std::move(timers);
  return {};
}

}  // namespace blcr
