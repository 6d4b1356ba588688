#include "store_requests.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

#include "proc/parse.h"
#include "protocol/message.h"

namespace blcr {

namespace {

constexpr size_t kMaxLine = 64 * 1024;  // longer ones are cut: TEXT is for people
constexpr size_t kMaxRequesters = 256;

void reply(int connection, int error, std::string_view log) {
  wire::Reply answer;
  answer.result.size = sizeof answer.result;
  answer.result.error = error;
  // A requester that has gone needs no answer.
  static_cast<void>(sendMessage(connection, std::string(bytesOf(answer)).append(log)));
}

}  // namespace

StoreRequests::~StoreRequests() {
  while (!requesters_.empty()) conclude(requesters_.begin(), ECANCELED, "the keeper has ended\n");
}

void StoreRequests::add(UniqueFd connection, uint64_t handleInode) {
  if (holder_ < 0) return reply(connection.get(), ENOTSUP, "the job has no store\n");
  if (requesters_.size() >= kMaxRequesters) return reply(connection.get(), EBUSY, "too many requests are waiting\n");
  const uint64_t number = ++last_;
  const std::string line = "checkpoint " + std::to_string(number) + "\n";
  const ssize_t sent = ::send(holder_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != ssize_t(line.size())) return reply(connection.get(), EAGAIN, "whoever runs the job does not read its requests\n");
  const int fd = connection.get();
  requesters_.push_back({number, std::move(connection), handleInode});
  loop_.watch(fd, POLLIN, [this, number](short) { onReadable(number); });
}

std::list<StoreRequests::Requester>::iterator StoreRequests::find(uint64_t number) {
  return std::find_if(requesters_.begin(), requesters_.end(), [number](const Requester& one) { return one.number == number; });
}

/** A requester only speaks again to give up. The checkpoint itself is the holder's and goes on. */
void StoreRequests::onReadable(uint64_t number) {
  const auto requester = find(number);
  if (requester == requesters_.end()) return;
  const auto message = receiveMessage(requester->connection.get(), MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return;
  conclude(requester, ECANCELED, "cancelled by the requester\n");
}

void StoreRequests::conclude(std::list<Requester>::iterator requester, int error, std::string_view log) {
  loop_.forget(requester->connection.get());
  reply(requester->connection.get(), error, log);
  requesters_.erase(requester);
}

void StoreRequests::onAnswers(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == '\n') {
      onAnswer(partial_);
      partial_.clear();
    } else if (partial_.size() < kMaxLine) {
      partial_.push_back(byte);
    }
  }
}

void StoreRequests::onAnswer(std::string_view line) {
  const auto number = takeNumber(line, 10);
  takeChar(line, ' ');
  const auto error = takeNumber(line, 10);
  takeChar(line, ' ');
  if (!number || !error || *error > INT_MAX) return;  // not of this protocol
  const auto requester = find(*number);
  if (requester != requesters_.end()) conclude(requester, int(*error), line);
}

void StoreRequests::addHandles(std::vector<uint64_t>& inodes) const {
  for (const Requester& one : requesters_) inodes.push_back(one.handleInode);
}

}  // namespace blcr
