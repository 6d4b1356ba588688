// Victims in a container whose filter forbids kcmp, pidfd_getfd and namespaces: checkpoints are made there, restarts outside of it.
#include "holds.h"
#include "host.h"

namespace {

/** Those for which other ways are gone there: descriptions that are shared or not, epoll, what processes share, vfork, Landlock. */
const std::vector<std::string> kWanted = {
    "epollTargets",       "eventFds",           "deadPeers",   "passedEpoll", "inotifyWatches", "locks",         "leases",
    "pidFdsOfTheDead",    "packetPipe",         "ptySeveral",  "zombies",     "sharedTable",    "families",      "vforkInProgress",
    "manyThreads",        "restrictedThread",   "systemVUndo", "signalOwner", "directoryNotes", "pidFdOfZombie", "mainThreadGone",
    "whatMainThreadLeft", "childrenOfLostMain",
};

}  // namespace

/** `confined_test` runs them as an ordinary user and as root, `confined_test NAME…` the named ones, `confined_test all` every victim. */
int main(int argc, char** argv) {
  std::vector<std::string> wanted(argv + 1, argv + argc);
  const bool all = wanted == std::vector<std::string>{"all"};
  if (wanted.empty()) wanted = kWanted;
  const auto isWanted = [&](const holds::Victim& victim) { return all || holds::contains(wanted, victim); };
  const int ordinary = holds::runAll({host::enterDocker, holds::kOrdinary}, isWanted);
  return geteuid() != 0 ? ordinary : ordinary | holds::runAll({host::enterDocker, 0}, isWanted);
}
