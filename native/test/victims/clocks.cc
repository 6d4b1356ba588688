// Threads that read clocks through the vdso all the time: some compare them with the system calls, some do nothing else.
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>

#include "victim.h"

namespace {

constexpr int kReaders = 3, kHammers = 2;
std::atomic<bool> stop{false};
std::atomic<uint64_t> readings{0};

int64_t nanoseconds(const timespec& time) { return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec; }

int64_t byCall(clockid_t clock) {
  timespec now{};
  syscall(SYS_clock_gettime, clock, &now);
  return nanoseconds(now);
}

using Gettime = int (*)(clockid_t, timespec*);

void compare(Gettime gettime, clockid_t clock) {
  const int64_t before = byCall(clock);
  timespec now{};
  REQUIRE(gettime(clock, &now) == 0);
  REQUIRE(before <= nanoseconds(now) && nanoseconds(now) <= byCall(clock));
}

void compareOthers() {
  const int64_t before = byCall(CLOCK_REALTIME_COARSE) / 1000000000;
  const int64_t seconds = time(nullptr);
  REQUIRE(before <= seconds && seconds <= byCall(CLOCK_REALTIME_COARSE) / 1000000000);
  const int64_t early = byCall(CLOCK_REALTIME) / 1000;
  timeval now{};
  REQUIRE(gettimeofday(&now, nullptr) == 0);
  const int64_t between = int64_t(now.tv_sec) * 1000000 + now.tv_usec;
  REQUIRE(early <= between && between <= byCall(CLOCK_REALTIME) / 1000);
  unsigned processor = ~0u;
  REQUIRE(getcpu(&processor, nullptr) == 0 && processor < 8192);
  timespec resolution{};
  REQUIRE(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_nsec > 0);
}

void* read(void*) {
  while (!stop) {
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE, CLOCK_TAI})
      compare(clock_gettime, clock);
    compareOthers();
    ++readings;
  }
  return nullptr;
}

/** Hardly ever outside of the vdso: a checkpoint finds it inside. */
void* hammer(void*) {
  timespec last{};
  for (uint64_t turn = 0; !stop; ++turn) {
    timespec now{};
    REQUIRE(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && nanoseconds(now) >= nanoseconds(last));
    last = now;
    timeval wall{};
    REQUIRE(turn % 4 != 0 || (gettimeofday(&wall, nullptr) == 0 && time(nullptr) + 1 >= wall.tv_sec));
    unsigned processor = ~0u;
    REQUIRE(turn % 4 != 1 || (getcpu(&processor, nullptr) == 0 && processor < 8192));
  }
  return nullptr;
}

/** As a program does that looks its functions up late: through the address that the kernel told it at its start. */
Gettime lookUp() {
  const char* image = reinterpret_cast<const char*>(getauxval(AT_SYSINFO_EHDR));
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(image + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_DYNSYM) continue;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(image + sections[i].sh_offset);
    const char* names = image + sections[sections[i].sh_link].sh_offset;
    for (uint64_t k = 0; k < sections[i].sh_size / sizeof(Elf64_Sym); ++k)
      if (strcmp(names + symbols[k].st_name, "__vdso_clock_gettime") == 0)
        return reinterpret_cast<Gettime>(uintptr_t(image + symbols[k].st_value));
  }
  return nullptr;
}

}  // namespace

int main() {
  pthread_t readers[kReaders + kHammers];
  for (int i = 0; i < kReaders; ++i) pthread_create(&readers[i], nullptr, read, nullptr);
  for (int i = 0; i < kHammers; ++i) pthread_create(&readers[kReaders + i], nullptr, hammer, nullptr);
  const Gettime early = lookUp();
  while (!mayEnd("go")) usleep(10000);
  stop = true;
  for (const pthread_t& reader : readers) pthread_join(reader, nullptr);
  REQUIRE(early != nullptr && lookUp() == early && readings > 100);
  compare(lookUp(), CLOCK_MONOTONIC);
  puts("clocks kept");
  return 0;
}
