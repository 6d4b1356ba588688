#include "loop.h"

#include <poll.h>

#include <algorithm>
#include <climits>
#include <vector>

#include "base/clock.h"

namespace blcr {

namespace {
constexpr int64_t kMillisecond = 1000000;  // ns
}

void Loop::watch(int fd, short events, Handler handler) { watches_[fd] = Watch{events, next_++, std::move(handler)}; }

void Loop::forget(int fd) { watches_.erase(fd); }

Loop::TimerId Loop::after(int64_t milliseconds, std::function<void()> handler) {
  const TimerId id = next_++;
  timers_[id] = Timer{nowNs() + milliseconds * kMillisecond, std::move(handler)};
  return id;
}

void Loop::cancel(TimerId timer) { timers_.erase(timer); }

int Loop::timeoutMs() const {
  if (timers_.empty()) return -1;
  int64_t due = INT64_MAX;
  for (const auto& [id, timer] : timers_) due = std::min(due, timer.dueNs);
  const int64_t left = (due - nowNs() + kMillisecond - 1) / kMillisecond;
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

void Loop::runTimers() {
  std::vector<std::function<void()>> due;
  const int64_t now = nowNs();
  for (auto timer = timers_.begin(); timer != timers_.end();) {
    if (timer->second.dueNs > now) {
      ++timer;
      continue;
    }
    due.push_back(std::move(timer->second.handler));
    timer = timers_.erase(timer);
  }
  for (const auto& handler : due) handler();
}

void Loop::once() {
  std::vector<pollfd> items;
  std::vector<uint64_t> generations;
  for (const auto& [fd, watch] : watches_) {
    items.push_back({fd, watch.events, 0});
    generations.push_back(watch.generation);
  }
  if (::poll(items.data(), items.size(), timeoutMs()) < 0) return;  // EINTR; ENOMEM passes
  for (size_t index = 0; index < items.size() && running_; ++index) {
    if (items[index].revents == 0) continue;
    // An earlier handler may have removed this watch, or put another descriptor of the same number in its place.
    const auto found = watches_.find(items[index].fd);
    if (found == watches_.end() || found->second.generation != generations[index]) continue;
    const Handler handler = found->second.handler;  // the handler may remove its own watch
    handler(items[index].revents);
  }
  if (running_) runTimers();
}

void Loop::run() {
  running_ = true;
  while (running_) once();
}

}  // namespace blcr
