// What a keeper and a client say to each other. A client is a process that has called cr_init(): its libcr runs a thread, the agent, that
// listens at clientAddress(). Programs without libcr are never asked; they are stopped from outside like everybody else.
//
//   A checkpoint. The keeper connects to the agent of every process in the scope, before anything is stopped:
//     client -> keeper   Hello     the agent's own sockets, which a dump must take for dead ends
//     keeper -> client   Prepare   the client leaves its critical sections, runs its callbacks up to cr_checkpoint(), holds its threads
//     client -> keeper   Forward   perhaps, from a callback; answered by Forwarded
//     client -> keeper   Ready     what the callbacks decided
//       (the keeper stops and copies the processes; the agent waits in recv(2))
//     keeper -> client   Outcome   the callbacks return
//     client -> keeper   Done      they have returned; the keeper may signal the process now, then it closes and the threads are let go
//   A restart. Sockets to the outside do not come back: the agent sees the end of the connection, and that its socket is another one.
//   It listens under its new name and connects to the keeper up its parent chain:
//     client -> keeper   Returned
//     keeper -> client   Welcome   the callbacks return
//     client -> keeper   Done
//
// Why connections from the keeper to a listening agent, and not a signal as in BLCR: a name in the abstract namespace disappears with
// execve(2) and with the process, at once and without a race, so that nobody who does not expect it is ever signalled; a keeper that has
// died is the end of a connection; a keeper that comes later, or for one request only, finds the client by its number; and the descriptor
// is close-on-exec. Signals are used within the process only, by its own agent.
#pragma once

#include "protocol/wire.h"

namespace blcr::wire {

/** Inodes of the agent's sockets: this connection's end, and the one it listens with. */
struct Hello {
  Header header{.kind = Kind::kHello};
  uint64_t connection = 0, listener = 0;
};

/** Followed by the path of the context (no terminator), empty when it has none. */
struct Prepare {
  Header header{.kind = Kind::kPrepare};
  int32_t signal = 0;
  int32_t requester = 0;
  int32_t target = 0;
  uint32_t scope = 0;
};

struct Forward {
  Header header{.kind = Kind::kForward};
  uint32_t scope = 0;
  int32_t target = 0;
};

struct Forwarded {
  Header header{.kind = Kind::kForwarded};
  int32_t error = 0;
};

struct Ready {
  Header header{.kind = Kind::kReady};
  int32_t verdict = 0;  // flags of cr_checkpoint()
};

struct Outcome {
  Header header{.kind = Kind::kOutcome};
  int32_t error = 0;  // 0: the context is complete
};

struct Done {
  Header header{.kind = Kind::kDone};
  uint32_t failed = 0;  // a callback returned non-zero
};

struct Returned {
  Header header{.kind = Kind::kReturned};
};

/** Followed by the path of the context (no terminator), empty when it has none. */
struct Welcome {
  Header header{.kind = Kind::kWelcome};
  int32_t requester = 0;
};

}  // namespace blcr::wire
