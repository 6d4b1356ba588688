#include "proc/ring_info.h"

#include <string>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** Lists follow the line that names them; their lines begin with a blank. */
void applyEntry(std::string_view list, std::string_view line, RingInfo& info) {
  if (list == "SQEs") ++info.callsListed;
  if (list == "SQEs" && line.find(", e0:") != std::string_view::npos) info.wideCalls = true;
  if (list == "CQEs") ++info.resultsListed;
  if (list == "CQEs" && line.find(", extra1:") != std::string_view::npos) info.wideResults = true;
  if (list == "PollList") ++info.armed;
  if (list == "CqOverflowList") ++info.overflown;
}

bool takeNumberInto(std::string_view value, uint32_t& into) {
  const bool hexadecimal = value.starts_with("0x");
  if (hexadecimal) value.remove_prefix(2);
  const auto number = takeNumber(value, hexadecimal ? 16 : 10);
  if (!number || *number > UINT32_MAX) return false;
  into = uint32_t(*number);
  return true;
}

bool applyLine(std::string_view key, std::string_view value, RingInfo& info) {
  skipBlanks(value);
  if (key == "SqMask") info.hasCounters = true;
  if (key == "UserFiles") info.told = true;
  if (key == "Personalities") info.personalities = true;
  if (key == "NAPI") info.busyPolling = value != "disabled";
  if (key == "SqThread") {
    uint32_t thread = 0;
    if (!value.starts_with('-')) info.thread = takeNumberInto(value, thread) ? int64_t(thread) : 0;
  }
  const struct {
    std::string_view key;
    uint32_t& into;
  } numbers[] = {
      {"SqMask", info.callMask},   {"SqHead", info.callHead},   {"SqTail", info.callTail},   {"CachedSqHead", info.callsTaken},
      {"CqMask", info.resultMask}, {"CqHead", info.resultHead}, {"CqTail", info.resultTail}, {"CachedCqTail", info.resultsWritten},
      {"UserFiles", info.files},   {"UserBufs", info.buffers}};
  for (const auto& [name, into] : numbers)
    if (key == name && !takeNumberInto(value, into)) return false;
  return true;
}

}  // namespace

Result<RingInfo> parseRingInfo(std::string_view text) {
  RingInfo info;
  if (!text.starts_with("pos:")) return Error{EINVAL, "fdinfo of a ring: malformed"};
  std::string_view list;
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    if (line.starts_with(' ')) {
      applyEntry(list, line, info);
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;  // an empty line follows wide completions
    list = line.substr(0, colon);
    if (!applyLine(list, line.substr(colon + 1), info))
      return Error{EINVAL, "fdinfo of a ring: malformed: " + std::string(line.substr(0, 80))};
  }
  return info;
}

Result<RingInfo> readRingInfo(int fd) {
  const auto text = readFile("/proc/self/fdinfo/" + std::to_string(fd));
  if (!text) return text.error();
  return parseRingInfo(text.value());
}

}  // namespace blcr
