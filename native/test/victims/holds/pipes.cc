// Pipes of unusual kinds.
#include "holds.h"

namespace holds {
namespace {

/** Each read gives one packet, however much room it has. */
void packetPipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_DIRECT) == 0 && put(ends[1], "one") == 0 && put(ends[1], "and two") == 0);
  hold();
  REQUIRE((fcntl(ends[1], F_GETFL) & O_DIRECT) != 0);
  REQUIRE(take(ends[0]) == "one" && take(ends[0]) == "and two");
  REQUIRE(put(ends[1], "three") == 0 && put(ends[1], "four") == 0 && take(ends[0]) == "three" && take(ends[0]) == "four");
}

/** What F_GETFL tells: of a pipe's own ends, and of an end that was opened once more. */
void pipeFlags() {
  int ends[2];
  REQUIRE(pipe2(ends, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, 0) == 0);
  const int again = open(("/proc/self/fd/" + std::to_string(ends[0])).c_str(), O_RDONLY | O_NONBLOCK), copy = dup(ends[1]);
  const int all[] = {ends[0], ends[1], again, copy};
  int before[4];
  for (int i = 0; i < 4; ++i) before[i] = fcntl(all[i], F_GETFL);
  REQUIRE(put(copy, "held") == 0);
  hold();
  for (int i = 0; i < 4; ++i) REQUIRE(fcntl(all[i], F_GETFL) == before[i]);
  REQUIRE(take(again, 2) == "he" && take(ends[0]) == "ld" && fcntl(copy, F_SETFL, O_NONBLOCK) == 0);
  REQUIRE(fcntl(ends[1], F_GETFL) == (before[1] | O_NONBLOCK) && fcntl(again, F_SETFL, 0) == 0 && fcntl(ends[0], F_GETFL) == before[0]);
}

/** Who is to be told, by which signal, once the program asks for it. */
void signalOwner() {
  int ends[2];
  REQUIRE(pipe(ends) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETSIG, SIGRTMIN + 2) == 0);
  const f_owner_ex group{F_OWNER_PGRP, getpgid(0)};
  REQUIRE(fcntl(ends[1], F_SETOWN_EX, &group) == 0);
  static volatile sig_atomic_t told = -1;
  struct sigaction action{};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) { told = info->si_fd; };
  REQUIRE(sigaction(SIGRTMIN + 2, &action, nullptr) == 0);
  hold();
  f_owner_ex now{};
  REQUIRE(fcntl(ends[0], F_GETOWN) == getpid() && fcntl(ends[0], F_GETSIG) == SIGRTMIN + 2 && fcntl(ends[1], F_GETSIG) == 0);
  REQUIRE(fcntl(ends[1], F_GETOWN_EX, &now) == 0 && now.type == F_OWNER_PGRP && now.pid == getpgid(0));
  REQUIRE(fcntl(ends[0], F_SETFL, O_ASYNC) == 0 && put(ends[1], "x") == 0);
  until([] { return told >= 0; });
  REQUIRE(told == ends[0]);
}

const Case kOwner(Supported{"signalOwner", "descriptors", "owners and signals of descriptors (`F_SETOWN`, `F_SETSIG`)", "restored"},
                  signalOwner);
const Case kFlags(Supported{"pipeFlags", "descriptors", "flags of pipes, those that `open` adds by itself too", "restored"}, pipeFlags);
const Case kPackets(Supported{"packetPipe", "descriptors", "pipes that keep packets apart (`O_DIRECT`)", "restored"}, packetPipe);

}  // namespace
}  // namespace holds
