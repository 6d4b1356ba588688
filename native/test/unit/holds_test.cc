// Every victim of test/victims/holds: see holds.h.
#include "holds.h"

#include <unistd.h>

#include "huge_pool.h"

namespace {

/** What only root can set up. */
const std::vector<std::string> kOfRoot{"anotherUser",       "byDeadline",      "childrenElsewhere",  "chosenGroups", "credentialsOfThread",
                                       "filesGivenAway",    "firstPage",       "headersOfDatagrams", "hugePageFile", "hugeSystemV",
                                       "idOfFiles",         "lockedModes",     "messagesOfUsers",    "peersOfUsers", "separateIds",
                                       "terminalGivenAway", "threadElsewhere", "underRepair"};

}  // namespace

/** `holds_test` runs all, `holds_test NAME…` the named ones. */
int main(int argc, char** argv) {
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  const auto isWanted = [&](const holds::Victim& victim) { return wanted.empty() || holds::contains(wanted, victim); };
  const HugePool pool(128);
  const int ordinary = holds::runAll({}, isWanted);
  if (geteuid() != 0) return ordinary;
  return ordinary |
         holds::runAll({nullptr, 0}, [&](const holds::Victim& victim) { return isWanted(victim) && holds::contains(kOfRoot, victim); });
}
