#include "conversation.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "callbacks.h"
#include "gathering.h"
#include "handles.h"
#include "protocol/address.h"
#include "protocol/client_wire.h"
#include "protocol/find_keeper.h"

namespace blcr::libcr {

namespace {

constexpr int kPatienceMs = 10;
constexpr int kHighNumbers = 200;  // away from the numbers that programs expect to get
constexpr size_t kMaxPacket = sizeof(wire::Prepare) + sizeof(State::path);

AgentSocket keeper;
Word forwarding{0};  // a lock: one callback at a time talks to the keeper

template <typename T>
bool send(const T& message) {
  ssize_t sent = -1;
  while ((sent = ::send(keeper.fd, &message, sizeof message, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
  return sent == ssize_t(sizeof message);
}

struct Packet {
  alignas(8) char bytes[kMaxPacket];
  ssize_t length = -1;

  /** 0 at the end of the connection, -1 with errno. */
  ssize_t receive(int flags) {
    while ((length = ::recv(keeper.fd, bytes, sizeof bytes, flags)) < 0 && errno == EINTR) continue;
    return length;
  }
  template <typename T>
  [[nodiscard]] const T* as() const {
    const auto* message = reinterpret_cast<const T*>(bytes);
    if (length < ssize_t(sizeof(T))) return nullptr;
    return message->header.magic == wire::kMagic && message->header.version == wire::kVersion && message->header.kind == T{}.header.kind
               ? message
               : nullptr;
  }
};

/** The same descriptor under a high number where there is one. */
int moveUp(int fd) {
  const int high = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, kHighNumbers);
  if (high >= 0) ::close(fd);
  return high >= 0 ? high : fd;
}

void hangUp() {
  if (keeper.fd >= 0) ::close(keeper.fd);
  keeper = {};
}

void setPath(const Packet& packet, size_t front) {
  const size_t length = std::min(size_t(packet.length) - front, sizeof state.path - 1);
  std::memcpy(state.path, packet.bytes + front, length);
  state.path[length] = '\0';
}

/** The keeper has changed its mind, or is gone. */
bool givenUp() {
  Packet packet;
  const ssize_t length = packet.receive(MSG_PEEK | MSG_DONTWAIT);
  if (length < 0) return errno != EAGAIN;
  return length == 0 || packet.as<wire::Outcome>() != nullptr;
}

/** To the keeper of a restarted job, whose number it is not sure to know. */
void connectRestarter() {
  pid_t nearest = 0;
  auto found = connectKeeper(::getpid(), nearest);
  if (!found || !found.value()) return;
  const int fd = moveUp(found.value().release());
  if (::fcntl(fd, F_SETFL, 0) == 0) keeper = {fd, socketInode(fd)};
}

/** In the restarted process: a new name, and the new keeper. */
void comeBack(AgentSocket& listener) {
  hangUp();
  if (listener.fd >= 0 && socketInode(listener.fd) != 0) ::close(listener.fd);
  listener = {};
  static_cast<void>(listenAsClient(listener));
  state.path[0] = '\0';
  state.restart = {0, state.path};
  connectRestarter();
  Packet packet;
  if (keeper.fd < 0 || !send(wire::Returned()) || packet.receive(0) <= 0) return;
  if (const auto* welcome = packet.as<wire::Welcome>()) {
    state.restart.requester = welcome->requester;
    setPath(packet, sizeof *welcome);
  }
}

/** Waits for the end of the checkpoint: what cr_checkpoint() returns. */
int awaitOutcome(AgentSocket& listener) {
  for (;;) {
    Packet packet;
    const ssize_t length = packet.receive(0);
    if (length > 0) {
      if (const auto* outcome = packet.as<wire::Outcome>()) return -outcome->error;
      continue;
    }
    if (keeper.intact()) return -EIO;  // the keeper is gone
    comeBack(listener);
    return 1;
  }
}

/** Thread-context callbacks, and behind them everything else. */
class ThreadContext final : public Group {
 public:
  explicit ThreadContext(AgentSocket& listener) : Group(state.threadCallbacks, CR_THREAD_CONTEXT), listener_(listener) {}

 private:
  int reachEnd() override {
    if (state.verdict.load() == CR_CHECKPOINT_READY && !gather(givenUp)) return release();
    wire::Ready ready;
    ready.verdict = state.verdict.load();
    send(ready);
    return release();
  }
  int release() {
    const int outcome = awaitOutcome(listener_);
    state.outcome = outcome;
    state.phase = kReleased;
    wakeAll(state.phase);
    return outcome;
  }
  AgentSocket& listener_;
};

/** Waits for the end of critical sections, now that new ones are kept out. False when given up. */
bool enterAlone() {
  for (uint32_t value = state.sections.load(); value != State::kWanted; value = state.sections.load()) {
    waitWhile(state.sections, value, kPatienceMs);
    if (givenUp()) return false;
  }
  return true;
}

void takePart(AgentSocket& listener) {
  state.verdict = CR_CHECKPOINT_READY;
  state.failed = false;
  forgetThreads();
  // In this order: who leaves a section and sees a checkpoint pending has waited for it.
  state.sections.fetch_or(State::kWanted);
  state.phase = kEntering;
  wakeAll(state.phase);
  const bool alone = enterAlone();
  if (alone) {
    const bool hasCallbacks = std::any_of(state.threadCallbacks.begin(), state.threadCallbacks.end(),
                                          [](const Callback& one) { return one.function != nullptr; });
    const int outcome = ThreadContext(listener).run();
    if (hasCallbacks) runHook(outcome, CR_HOOK_CONT_THREAD_CONTEXT);
    awaitFinished();
  } else {
    static_cast<void>(awaitOutcome(listener));
  }
  wire::Done done;
  done.failed = state.failed ? 1 : 0;
  if (keeper.fd >= 0 && send(done)) {
    // Held until the keeper has heard from everybody, and has sent the request's signal.
    for (Packet packet; packet.receive(0) > 0;) continue;
  }
  hangUp();  // threads that are let go find the descriptors that they know
  state.phase = kIdle;
  state.sections.fetch_and(~State::kWanted);
  state.round.fetch_add(1);
  wakeAll(state.sections);
  wakeAll(state.round);
}

bool mayAsk(int connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace

bool AgentSocket::intact() const { return fd >= 0 && socketInode(fd) == inode; }

void AgentSocket::close() {
  if (intact()) ::close(fd);
  *this = {};
}

bool listenAsClient(AgentSocket& listener) {
  const auto name = clientAddress(::getpid());
  if (!name) return false;
  const int chosen = moveUp(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (chosen < 0) return false;
  const auto* address = reinterpret_cast<const sockaddr*>(&name.value().address);
  if (::bind(chosen, address, name.value().length) != 0 || ::listen(chosen, 16) != 0) {
    const int problem = errno;
    ::close(chosen);
    errno = problem;
    return false;
  }
  listener = {chosen, socketInode(chosen)};
  return true;
}

void serveKeeper(int connection, AgentSocket& listener) {
  connection = moveUp(connection);
  keeper = {connection, socketInode(connection)};
  wire::Hello hello;
  hello.connection = keeper.inode;
  hello.listener = listener.inode;
  Packet packet;
  if (mayAsk(connection) && send(hello) && packet.receive(0) > 0) {
    if (const auto* prepare = packet.as<wire::Prepare>()) {
      setPath(packet, sizeof *prepare);
      state.checkpoint = {prepare->signal, state.path, prepare->requester, prepare->target, prepare->scope};
      takePart(listener);
    }
  }
  hangUp();
}

void forgetConversation() {
  keeper.close();
  forwarding = 0;
}

}  // namespace blcr::libcr

int cr_forward_checkpoint(cr_scope_t scope, pid_t target) {
  using namespace blcr::libcr;
  const auto fail = [](int code) {
    errno = code;
    return -1;
  };
  if (frame == nullptr || frame->called) return fail(CR_ENOTCB);
  if (scope > CR_SCOPE_TREE) return fail(EINVAL);
  for (uint32_t free = 0; !forwarding.compare_exchange_strong(free, 1); free = 0) waitWhile(forwarding, 1);
  blcr::wire::Forward forward;
  forward.scope = scope;
  forward.target = target;
  int result = EIO;
  if (send(forward)) {
    // The answer, or an outcome that came first and is left for the agent.
    Packet packet;
    pollfd item{keeper.fd, POLLIN, 0};
    while (::poll(&item, 1, -1) < 0 && errno == EINTR) continue;
    const bool answered = packet.receive(MSG_PEEK) > 0 && packet.as<blcr::wire::Forwarded>() != nullptr;
    if (answered && packet.receive(0) > 0) result = packet.as<blcr::wire::Forwarded>()->error;
  }
  forwarding = 0;
  wakeAll(forwarding);
  return result == 0 ? 0 : fail(result);
}
