// Every victim of test/victims/holds: see holds.h.
#include "holds.h"

/** `holds_test` runs all, `holds_test NAME…` the named ones. */
int main(int argc, char** argv) {
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  return holds::runAll({}, [&](const holds::Victim& victim) { return wanted.empty() || holds::contains(wanted, victim); });
}
