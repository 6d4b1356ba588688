// The event loop, and messages with descriptors.
#include "loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "protocol/message.h"

using blcr::Loop;
using blcr::UniqueFd;

TEST(timers_fire_in_time_and_can_be_cancelled) {
  Loop loop;
  std::string order;
  const int64_t start = blcr::nowNs();
  // The first one set is not the first one due. The others are set as they are due, so that it does not matter how late this process is.
  loop.after(3'600'000, [&] { order += "too early"; });
  loop.after(0, [&] { order += "a"; });
  loop.cancel(loop.after(5, [&] { order += "never"; }));
  loop.after(10, [&] { order += "b"; });
  loop.after(20, [&] { loop.quit(); });
  loop.run();
  CHECK(order == "ab");
  CHECK(blcr::nowNs() - start >= 20'000'000);
}

TEST(a_watch_may_remove_another_of_the_same_round) {
  Loop loop;
  int ends[2][2];
  CHECK(::pipe(ends[0]) == 0 && ::pipe(ends[1]) == 0);
  const UniqueFd fds[] = {UniqueFd(ends[0][0]), UniqueFd(ends[0][1]), UniqueFd(ends[1][0]), UniqueFd(ends[1][1])};
  CHECK(::write(ends[0][1], "x", 1) == 1 && ::write(ends[1][1], "x", 1) == 1);
  int calls = 0;
  for (const auto& pair : ends) {
    loop.watch(pair[0], POLLIN, [&](short) {
      ++calls;
      for (const auto& other : ends) loop.forget(other[0]);
      loop.after(1, [&] { loop.quit(); });
    });
  }
  loop.run();
  CHECK(calls == 1);
}

TEST(messages_carry_descriptors) {
  auto pair = blcr::messagePair();
  CHECK(pair.ok());
  int ends[2];
  CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reading(ends[0]);
  const int sent[] = {ends[1]};
  CHECK(blcr::sendMessage(pair->first.get(), blcr::bytesOf(blcr::wire::Connection()), sent).ok());
  ::close(ends[1]);
  auto message = blcr::receiveMessage(pair->second.get(), 0);
  CHECK(message.ok() && message->as<blcr::wire::Connection>() != nullptr && message->fds.size() == 1);
  CHECK(message->as<blcr::wire::Signal>() == nullptr);
  CHECK(::write(message->fds[0].get(), "y", 1) == 1);
}

TEST(a_peeked_message_stays) {
  auto pair = blcr::messagePair();
  CHECK(blcr::receiveMessage(pair->second.get(), MSG_DONTWAIT).error().code == EAGAIN);
  CHECK(blcr::sendMessage(pair->first.get(), blcr::bytesOf(blcr::wire::Cancel())).ok());
  pair->first.reset();
  for (const int flags : {int(MSG_PEEK), int(MSG_PEEK), 0}) {
    const auto message = blcr::receiveMessage(pair->second.get(), flags | MSG_DONTWAIT);
    CHECK(message.ok() && message.value().as<blcr::wire::Cancel>() != nullptr);
  }
  const auto end = blcr::receiveMessage(pair->second.get(), MSG_DONTWAIT);
  CHECK(end.ok() && end.value().bytes.empty());
}

TEST(sending_to_nobody_is_an_error) {
  auto pair = blcr::messagePair();
  pair->second.reset();
  CHECK(blcr::sendMessage(pair->first.get(), "x").error().code == EPIPE);
}

CHECK_MAIN
