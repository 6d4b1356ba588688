// Pipes of unusual kinds.
#include <poll.h>

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

/** poll(2) of a FIFO's reader, which hears a hang-up only when there has been a writer. */
int heardBy(int reader) {
  pollfd entry{reader, POLLIN, 0};
  REQUIRE(poll(&entry, 1, 0) >= 0);
  return entry.revents;
}

/** As daemons wait for their orders: the one FIFO has been written to, the others not yet; the last one has no name any more. */
void fifoWithoutWriter() {
  int readers[3];
  for (int i = 0; i < 3; ++i) {
    const std::string name = "orders" + std::to_string(i);
    REQUIRE(mkfifo(name.c_str(), 0600) == 0 && (readers[i] = open(name.c_str(), O_RDONLY | O_NONBLOCK)) >= 0);
  }
  const int again = open("orders1", O_RDONLY | O_NONBLOCK);
  REQUIRE(again >= 0 && close(open("orders0", O_WRONLY)) == 0 && unlink("orders2") == 0);
  REQUIRE(fcntl(readers[1], F_SETPIPE_SZ, 1 << 15) == 1 << 15);
  hold();
  REQUIRE(fcntl(readers[1], F_GETPIPE_SZ) == 1 << 15);
  char byte = 0;
  REQUIRE(heardBy(readers[0]) == POLLHUP && heardBy(readers[1]) == 0 && heardBy(again) == 0 && heardBy(readers[2]) == 0);
  for (const int reader : readers) REQUIRE(read(reader, &byte, 1) == 0);
  const int writer = open("orders1", O_WRONLY);
  REQUIRE(writer >= 0 && put(writer, "order") == 0 && take(readers[1]) == "order" && close(writer) == 0);
  REQUIRE(heardBy(readers[1]) == POLLHUP && heardBy(again) == POLLHUP);
}

const Case kUnwritten(Supported{"fifoWithoutWriter", "descriptors", "FIFOs that wait for their first writer, or whose writers are gone",
                                "restored"},
                      fifoWithoutWriter);
const Case kOwner(Supported{"signalOwner", "descriptors", "owners and signals of descriptors (`F_SETOWN`, `F_SETSIG`)", "restored"},
                  signalOwner);
const Case kFlags(Supported{"pipeFlags", "descriptors", "flags of pipes, those that `open` adds by itself too", "restored"}, pipeFlags);
const Case kPackets(Supported{"packetPipe", "descriptors", "pipes that keep packets apart (`O_DIRECT`)", "restored"}, packetPipe);

}  // namespace
}  // namespace holds
