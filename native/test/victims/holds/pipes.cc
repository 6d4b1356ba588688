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

const Case kPackets(Supported{"packetPipe", "descriptors", "pipes that keep packets apart (`O_DIRECT`)", "restored"}, packetPipe);

}  // namespace
}  // namespace holds
