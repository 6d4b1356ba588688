// The log of one request: the sentences that cr_log_checkpoint / cr_log_restart hand to the user.
#pragma once

#include <string>
#include <string_view>

namespace blcr {

/** Collects lines; never fails; bounded so that it fits the reply message. Not thread-safe: one per request. */
class Log {
 public:
  void line(std::string_view text) {
    if (text_.size() + text.size() + 1 > kLimit) return;
    text_.append(text).push_back('\n');
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static constexpr size_t kLimit = 32 * 1024;
  std::string text_;
};

}  // namespace blcr
