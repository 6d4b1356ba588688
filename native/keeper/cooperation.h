// The processes of a request that take part in their own checkpoint: protocol/client_wire.h, the keeper's side.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "awake.h"
#include "base/log.h"
#include "loop.h"
#include "protocol/client_wire.h"
#include "protocol/message.h"

namespace blcr {

class Cooperation {
 public:
  struct Handlers {
    std::function<void()> changed;                             // somebody is ready, done or gone
    std::function<int(uint32_t scope, pid_t target)> forward;  // more processes are wanted; 0 or an error
  };

  Cooperation(Loop& loop, wire::Prepare prepare, std::string path, Handlers handlers, Log& log);
  Cooperation(const Cooperation&) = delete;
  Cooperation& operator=(const Cooperation&) = delete;
  ~Cooperation();

  /** Asks those of `members` that have an agent and have not been asked yet; false when there were none. One that job control has stopped
   * runs until rest(). CR_ETEMPFAIL (by code) for one that cannot be had for that, EBUSY for one that another keeper has asked. */
  [[nodiscard]] Result<bool> invite(const std::vector<pid_t>& members);

  /** EBUSY when one of `members` that has not been asked yet is being asked by another keeper. */
  [[nodiscard]] Status checkFree(const std::vector<pid_t>& members) const;

  /** Everybody who was asked is ready, or gone. */
  [[nodiscard]] bool ready() const;
  /** What the callbacks decided, the worst of it: an error to fail with, or success. `permanent`: everybody is to be killed. */
  [[nodiscard]] Status verdict(bool& permanent) const;

  /** Processes that asked to be left out. */
  [[nodiscard]] std::vector<pid_t> omitted() const;
  /** Processes that wait for an outcome and are to be dumped. */
  [[nodiscard]] std::vector<pid_t> taking() const;
  /** Inodes of the agents' sockets. */
  [[nodiscard]] const std::vector<uint64_t>& sockets() const { return sockets_; }

  /** Those who were stopped are so again: for the dump, and when everybody has returned. */
  void rest() { awake_.rest(); }
  [[nodiscard]] bool hasStopped() const { return !awake_.woken().empty(); }
  /** True when the change of state was one of somebody who is awake meanwhile. */
  bool onChild(pid_t pid, int status) { return awake_.onChild(pid, status); }

  /** Tells everybody how it went (0 or an error). */
  void release(int error);
  /** Everybody has returned from callbacks, or is gone. */
  [[nodiscard]] bool done() const;
  /** Others may ask them from now on. */
  void unclaim();
  /** Processes with a callback that failed after the checkpoint. */
  [[nodiscard]] std::vector<pid_t> failed() const;

 private:
  enum class Stage { kGreeting, kPreparing, kReady, kReleased, kDone, kGone };
  struct Client {
    pid_t pid = 0;
    UniqueFd claim, connection;
    Stage stage = Stage::kGreeting;
    int verdict = 0;
    bool failed = false;
    bool executed = false;  // left by execve(2): it is another program now
  };

  void onReadable(Client& client);
  void onMessage(Client& client, const Message& message);
  void onEnd(Client& client);
  [[nodiscard]] bool hasAsked(pid_t pid) const;
  [[nodiscard]] bool all(std::initializer_list<Stage> stages) const;

  Loop& loop_;
  wire::Prepare prepare_;
  std::string path_;
  Handlers handlers_;
  Log& log_;
  std::list<Client> clients_;
  Awake awake_;
  std::vector<uint64_t> sockets_;
};

}  // namespace blcr
