#include "proc/inet_table.h"

#include <charconv>
#include <cstring>

#include "base/io.h"

namespace blcr {
namespace {

template <typename T>
bool takeNumber(std::string_view& text, T& value, int base) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (code != std::errc()) return false;
  text.remove_prefix(size_t(end - text.data()));
  return true;
}

std::string_view nextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

/** "0100007F:1F90": each 32-bit word of the address as the machine reads it, in hexadecimal. */
bool takeAddress(std::string_view word, std::string& address, uint16_t& port) {
  const size_t colon = word.find(':');
  if (colon != 8 && colon != 32) return false;
  for (size_t at = 0; at < colon; at += 8) {
    std::string_view digits = word.substr(at, 8);
    uint32_t value = 0;
    if (!takeNumber(digits, value, 16) || !digits.empty()) return false;
    address.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  word.remove_prefix(colon + 1);
  return takeNumber(word, port, 16) && word.empty();
}

/** Source: proc(5), /proc/net/tcp: number, local, remote, state, tx:rx, timer, retransmissions, uid, timeout, inode. */
bool takeRow(std::string_view line, InetRow& row) {
  nextWord(line);
  if (!takeAddress(nextWord(line), row.local, row.localPort) || !takeAddress(nextWord(line), row.remote, row.remotePort)) return false;
  std::string_view state = nextWord(line), queues = nextWord(line);
  if (!takeNumber(state, row.state, 16) || queues.find(':') == std::string_view::npos) return false;
  queues.remove_prefix(queues.find(':') + 1);
  if (!takeNumber(queues, row.unread, 16)) return false;
  for (int skipped = 0; skipped < 4; ++skipped) nextWord(line);
  std::string_view inode = nextWord(line);
  return takeNumber(inode, row.inode, 10);
}

}  // namespace

std::vector<InetRow> parseInetTable(std::string_view text) {
  std::vector<InetRow> rows;
  text.remove_prefix(std::min(text.find('\n'), text.size()));  // the heading
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::string_view line = text.substr(0, text.find('\n'));
    InetRow row;
    if (takeRow(line, row)) rows.push_back(std::move(row));
    text.remove_prefix(line.size());
  }
  return rows;
}

Result<std::vector<InetRow>> readTcpTable() {
  auto first = readFile("/proc/net/tcp");
  if (!first) return first.error();
  std::vector<InetRow> rows = parseInetTable(*first);
  const auto second = readFile("/proc/net/tcp6");  // missing where IPv6 is
  if (!second.ok()) return rows;
  for (InetRow& row : parseInetTable(second.value())) rows.push_back(std::move(row));
  return rows;
}

}  // namespace blcr
