#include "restore/prefetch.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace blcr {

Status Prefetch::begin() {
  cancel_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!cancel_) return systemError("eventfd");
  reader_.cancelOn(cancel_.get());
  return thread_.start([this] { run(); });
}

Prefetch::~Prefetch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  const uint64_t one = 1;
  static_cast<void>(!::write(cancel_.get(), &one, sizeof one));
  thread_.join();
  reader_.cancelOn(-1);
}

void Prefetch::run() {
  for (bool more = true; more;) {
    auto frame = reader_.next();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stop_ || ready_.size() < kAhead; });
    std::string spare;
    if (!spare_.empty()) {
      spare = std::move(spare_.back());
      spare_.pop_back();
    }
    more = !stop_ && frame.ok() && frame->header.type != image::FrameType::kTrailer;
    ready_.push_back({std::move(frame), reader_.exchangeBuffer(std::move(spare))});
    changed_.notify_all();
  }
}

Result<image::Frame> Prefetch::next() {
  std::unique_lock lock(mutex_);
  if (current_) spare_.push_back(std::move(current_->memory));
  changed_.wait(lock, [this] { return !ready_.empty(); });
  current_.emplace(std::move(ready_.front()));
  ready_.pop_front();
  changed_.notify_all();
  return current_->frame;
}

}  // namespace blcr
