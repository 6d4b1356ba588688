#include "cooperation.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/codes.h"
#include "proc/status.h"
#include "protocol/find_keeper.h"
#include "protocol/process_info.h"

namespace blcr {

namespace {

std::string who(pid_t pid) { return "process " + std::to_string(pid); }

}  // namespace

Cooperation::Cooperation(Loop& loop, wire::Prepare prepare, std::string path, Handlers handlers, Log& log)
    : loop_(loop), prepare_(prepare), path_(std::move(path)), handlers_(std::move(handlers)), log_(log) {}

Cooperation::~Cooperation() {
  for (const Client& client : clients_) {
    if (client.connection) loop_.forget(client.connection.get());
  }
}

Result<bool> Cooperation::invite(const std::vector<pid_t>& members) {
  bool any = false;
  for (const pid_t pid : members) {
    if (hasAsked(pid)) continue;
    auto connection = connectClient(pid);
    if (!connection) return Error{kErrorTemporary, who(pid) + " cannot be asked: " + connection.error().detail};
    if (!*connection) continue;
    const auto stat = readStat(pid);
    if (stat && stat.value().state == 't') {
      return Error{kErrorTemporary, who(pid) + " takes part in its checkpoints, but a debugger has stopped it"};
    }
    auto claim = claimClient(pid);
    if (!claim) return claim.error();
    if (const Status woken = awake_.wake(pid); !woken) {
      return Error{kErrorTemporary, who(pid) + " takes part in its checkpoints, but is stopped: " + woken.error().detail};
    }
    any = true;
    Client& client = clients_.emplace_back();
    client.pid = pid;
    client.claim = *std::move(claim);
    client.connection = *std::move(connection);
    loop_.watch(client.connection.get(), POLLIN, [this, &client](short) { onReadable(client); });
  }
  return any;
}

bool Cooperation::hasAsked(pid_t pid) const {
  return std::any_of(clients_.begin(), clients_.end(), [pid](const Client& one) { return one.pid == pid; });
}

Status Cooperation::checkFree(const std::vector<pid_t>& members) const {
  for (const pid_t pid : members) {
    if (hasAsked(pid)) continue;
    const auto claim = claimClient(pid);
    if (!claim) return claim.error();
  }
  return {};
}

void Cooperation::onReadable(Client& client) {
  auto message = receiveMessage(client.connection.get(), MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return;
  if (message && !message->bytes.empty()) {
    onMessage(client, *message);
  } else {
    onEnd(client);
  }
}

void Cooperation::onMessage(Client& client, const Message& message) {
  if (const auto* hello = message.as<wire::Hello>(); hello != nullptr && client.stage == Stage::kGreeting) {
    sockets_.push_back(hello->connection);
    sockets_.push_back(hello->listener);
    client.stage = Stage::kPreparing;
    static_cast<void>(sendMessage(client.connection.get(), std::string(bytesOf(prepare_)) + path_));
  } else if (const auto* forward = message.as<wire::Forward>(); forward != nullptr && client.stage == Stage::kPreparing) {
    wire::Forwarded answer;
    answer.error = handlers_.forward(forward->scope, forward->target);
    static_cast<void>(sendMessage(client.connection.get(), bytesOf(answer)));
  } else if (const auto* ready = message.as<wire::Ready>(); ready != nullptr && client.stage == Stage::kPreparing) {
    client.verdict = ready->verdict;
    client.stage = Stage::kReady;
    handlers_.changed();
  } else if (const auto* done = message.as<wire::Done>(); done != nullptr && client.stage == Stage::kReleased) {
    client.failed = done->failed != 0;
    client.stage = Stage::kDone;
    handlers_.changed();
  }
}

void Cooperation::onEnd(Client& client) {
  loop_.forget(client.connection.get());
  client.connection.reset();
  const auto info = readProcess(client.pid);
  const bool living = info && !info.value().ending;
  client.executed = living && client.stage < Stage::kReleased;
  client.stage = Stage::kGone;
  handlers_.changed();
}

bool Cooperation::all(std::initializer_list<Stage> stages) const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [&stages](const Client& client) { return std::find(stages.begin(), stages.end(), client.stage) != stages.end(); });
}

bool Cooperation::ready() const { return all({Stage::kReady, Stage::kGone}); }
bool Cooperation::done() const { return all({Stage::kDone, Stage::kGone}); }

Status Cooperation::verdict(bool& permanent) const {
  Status worst;
  permanent = false;
  for (const Client& client : clients_) {
    const int code = client.verdict >> 16 & 0xffff;
    if (client.executed) {
      const bool target = client.pid == prepare_.target;
      worst = Error{target ? ESRCH : kErrorTemporary, who(client.pid) + " executed another program in a callback"};
    }
    if ((client.verdict & CR_CHECKPOINT_TEMP_FAILURE) != 0 && !permanent) {
      worst = Error{code != 0 ? code : kErrorTemporary, who(client.pid) + ": a callback asks to try again later"};
    }
    if ((client.verdict & CR_CHECKPOINT_PERM_FAILURE) != 0) {
      permanent = true;
      worst = Error{code != 0 ? code : CR_EPERMFAIL,
                    who(client.pid) + ": a callback says that it cannot be checkpointed; everything is killed"};
    }
  }
  return worst;
}

std::vector<pid_t> Cooperation::omitted() const {
  std::vector<pid_t> pids;
  for (const Client& client : clients_) {
    if ((client.verdict & CR_CHECKPOINT_OMIT) != 0) pids.push_back(client.pid);
  }
  return pids;
}

std::vector<pid_t> Cooperation::taking() const {
  std::vector<pid_t> pids;
  for (const Client& client : clients_) {
    if (client.stage == Stage::kReady && (client.verdict & CR_CHECKPOINT_OMIT) == 0) pids.push_back(client.pid);
  }
  return pids;
}

std::vector<pid_t> Cooperation::failed() const {
  std::vector<pid_t> pids;
  for (const Client& client : clients_) {
    if (client.failed) pids.push_back(client.pid);
  }
  return pids;
}

void Cooperation::unclaim() {
  for (Client& client : clients_) client.claim.reset();
}

void Cooperation::release(int error) {
  awake_.wakeAgain();
  for (Client& client : clients_) {
    if (client.stage == Stage::kGone) continue;
    wire::Outcome outcome;
    outcome.error = (client.verdict & CR_CHECKPOINT_OMIT) != 0 ? CR_EOMITTED : error;
    client.stage = Stage::kReleased;
    static_cast<void>(sendMessage(client.connection.get(), bytesOf(outcome)));
  }
}

}  // namespace blcr
