// The agent's side of one checkpoint or restart; native/protocol/client_wire.h describes the messages. Nothing here allocates: threads of
// this process are held while it runs, perhaps inside malloc.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace blcr::libcr {

/** A socket of the agent; the descriptor is not owned: the program may close or replace it. */
struct AgentSocket {
  int fd = -1;
  ino_t inode = 0;

  /** The descriptor still is the socket that was made: false once the program closed it, or after a restart. */
  [[nodiscard]] bool intact() const;
  void close();
};

/** Listens under this process's name. errno on failure. */
[[nodiscard]] bool listenAsClient(AgentSocket& listener);

/** Serves a keeper that has connected, to the end; the connection is closed. `listener` is renewed when a restart happens on the way. */
void serveKeeper(int connection, AgentSocket& listener);

/** For a child of fork(2): closes the parent's connection. */
void forgetConversation();

}  // namespace blcr::libcr
