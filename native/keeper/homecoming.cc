#include "homecoming.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "awake.h"
#include "base/codes.h"
#include "proc/status.h"
#include "protocol/client_wire.h"
#include "request_facts.h"

namespace blcr {

namespace {

constexpr int kPatienceMs = 50;
constexpr int kAwakeMs = 1;  // tracees want to be looked after, which no descriptor tells

class Waiting {
 public:
  Waiting(const std::vector<pid_t>& pids, Listener& listener, int outer, const std::string& source, int signal)
      : listener_(listener), outer_(outer), source_(source), signal_(signal), missing_(pids.begin(), pids.end()) {}

  Result<Homecoming> run() {
    for (const pid_t pid : missing_) BLCR_TRY(awake_.wake(pid));
    result_.signalled = awake_.woken();
    while (!missing_.empty() || !open_.empty()) {
      std::vector<pollfd> items{{listener_.fd(), POLLIN, 0}, {outer_, 0, 0}};
      for (const Client& client : open_) items.push_back({client.connection.get(), POLLIN, 0});
      const int ready = ::poll(items.data(), items.size(), awake_.empty() ? kPatienceMs : kAwakeMs);
      if (ready < 0 && errno != EINTR) return systemError("wait for restarted programs");
      if ((items[1].revents & (POLLHUP | POLLERR)) != 0) return Error{ECANCELED, "the requester has gone"};
      for (size_t index = items.size(); index-- > 2;) {
        if (items[index].revents != 0) BLCR_TRY(onReadable(index - 2));
      }
      if ((items[0].revents & POLLIN) != 0) {
        if (UniqueFd connection = listener_.accept()) open_.push_back({0, std::move(connection)});
      }
      if (ready == 0) forgetEnded();
      awake_.lookAfter();
      if (missing_.empty()) setStrangersFree();
    }
    for (const pid_t pid : result_.signalled) {
      if (signal_ != 0) ::kill(pid, signal_);
    }
    awake_.rest();
    return std::move(result_);
  }

 private:
  struct Client {
    pid_t pid = 0;  // 0: has not said yet what it wants
    UniqueFd connection;
  };

  Status onReadable(size_t index) {
    Client& client = open_[index];
    auto message = receiveMessage(client.connection.get(), MSG_DONTWAIT | (client.pid == 0 ? MSG_PEEK : 0));
    if (!message && message.error().code == EAGAIN) return {};
    if (!message || message->bytes.empty()) {  // it has ended, or executes another program
      missing_.erase(client.pid);
      open_.erase(open_.begin() + ptrdiff_t(index));
      return {};
    }
    if (client.pid == 0) return welcome(index, *message);
    const auto* done = message->as<wire::Done>();
    if (done == nullptr) return {};
    if (done->failed != 0) {
      return Error{kErrorRestartAborted, "process " + std::to_string(client.pid) + ": a callback failed after the restart"};
    }
    missing_.erase(client.pid);
    result_.clients.push_back(std::move(client.connection));
    open_.erase(open_.begin() + ptrdiff_t(index));
    return {};
  }

  Status welcome(size_t index, const Message& message) {
    Client& client = open_[index];
    if (message.as<wire::CheckpointRequest>() != nullptr) {
      static_cast<void>(receiveMessage(client.connection.get(), MSG_DONTWAIT));  // what is left unread would reset the connection
      wire::Reply reply;
      reply.result.size = sizeof reply.result;
      reply.result.error = EBUSY;
      static_cast<void>(sendMessage(client.connection.get(), std::string(bytesOf(reply)) + "the job is being restarted\n"));
      open_.erase(open_.begin() + ptrdiff_t(index));
      return {};
    }
    if (message.as<wire::Returned>() == nullptr) {
      result_.strangers.push_back(std::move(client.connection));
      open_.erase(open_.begin() + ptrdiff_t(index));
      return {};
    }
    static_cast<void>(receiveMessage(client.connection.get(), MSG_DONTWAIT));
    client.pid = peerOf(client.connection.get());
    wire::Welcome words;
    words.requester = ::getpid();
    static_cast<void>(sendMessage(client.connection.get(), std::string(bytesOf(words)) + source_));
    return {};
  }

  /** Some end before they have reported. */
  void forgetEnded() {
    std::erase_if(missing_, [](pid_t pid) {
      const auto stat = readStat(pid);
      return !stat || hasEnded(stat.value());
    });
    std::erase_if(open_, [this](const Client& client) { return client.pid != 0 && !missing_.contains(client.pid); });
  }

  /** Nobody else is waited for: whoever has connected and said nothing is a requester. */
  void setStrangersFree() {
    for (Client& client : open_) {
      if (client.pid == 0) result_.strangers.push_back(std::move(client.connection));
    }
    std::erase_if(open_, [](const Client& client) { return client.pid == 0; });
  }

  Listener& listener_;
  int outer_;
  const std::string& source_;
  int signal_;
  std::set<pid_t> missing_;
  std::vector<Client> open_;
  Awake awake_;  // of those who were stopped
  Homecoming result_;
};

}  // namespace

Result<Homecoming> awaitHomecoming(const std::vector<pid_t>& pids, Listener& listener, int outer, const std::string& source, int signal) {
  return Waiting(pids, listener, outer, source, signal).run();
}

}  // namespace blcr
