#include "base/terminal_queue.h"

#include <asm/ioctls.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace blcr {
namespace {

constexpr size_t kBuffer = 4095;  // of a line discipline (N_TTY_BUF_SIZE - 1)
constexpr size_t kPiece = 1024;   // less than one buffer on the way between the ends: it arrives as a whole
constexpr int kPatienceMs = 2000;

bool isReady(int fd, short events, int timeoutMs = 0) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, timeoutMs) == 1 && (entry.revents & events) != 0;
}

/** Nothing is changed on the way. IXON stays as it is: to clear it would start output that was stopped. */
termios2 plainModes(const termios2& modes) {
  termios2 plain = modes;
  plain.c_iflag &= IXON;
  plain.c_oflag &= ~tcflag_t(OPOST);
  plain.c_lflag = 0;
  plain.c_cc[VSTART] = plain.c_cc[VSTOP] = 0;  // off
  plain.c_cc[VMIN] = 1;
  plain.c_cc[VTIME] = 0;
  return plain;
}

/** Lines end as they did, and at `endOfFile`; no other character has an effect. */
termios2 lineModes(const termios2& modes, unsigned char endOfFile) {
  termios2 plain = plainModes(modes);
  plain.c_lflag = ICANON | (modes.c_lflag & tcflag_t(IEXTEN));
  std::memset(plain.c_cc, 0, sizeof plain.c_cc);
  plain.c_cc[VEOL] = modes.c_cc[VEOL];
  plain.c_cc[VEOL2] = modes.c_cc[VEOL2];
  plain.c_cc[VEOF] = endOfFile;
  return plain;
}

bool endsLine(const termios2& modes, char last) {
  const auto c = static_cast<unsigned char>(last);
  const bool second = (modes.c_lflag & IEXTEN) != 0 && modes.c_cc[VEOL2] != 0 && c == modes.c_cc[VEOL2];
  return c == '\n' || (modes.c_cc[VEOL] != 0 && c == modes.c_cc[VEOL]) || second;
}

/** A character that occurs nowhere. */
unsigned char unusedCharacter(const termios2& modes, const TerminalQueue& queue) {
  for (int c = 1; c < 256; ++c) {
    const auto has = [c](const std::string& text) { return text.find(char(c)) != std::string::npos; };
    if (endsLine(modes, char(c)) || has(queue.input) || std::any_of(queue.lines.begin(), queue.lines.end(), has)) continue;
    return static_cast<unsigned char>(c);
  }
  return 0;
}

/** One read; empty at an end-of-file mark. */
Result<std::string> readSome(int fd) {
  std::string text(kBuffer + 1, '\0');
  const ssize_t count = ::read(fd, text.data(), text.size());
  if (count < 0) return systemError("reading a terminal");
  text.resize(size_t(count));
  return text;
}

Status readAll(int fd, std::string& into) {
  while (isReady(fd, POLLIN)) {
    auto text = readSome(fd);
    // The other end is closed: all was read.
    if (!text.ok() && text.error().code == EIO) return {};
    if (!text.ok()) return text.error();
    if (text->empty()) return {};
    into += *text;
  }
  return {};
}

Status writeAll(int fd, std::string_view text) {
  while (!text.empty()) {
    if (!isReady(fd, POLLOUT, kPatienceMs)) return Error{ENOBUFS, "a terminal takes no more data"};
    const ssize_t count = ::write(fd, text.data(), std::min(text.size(), kPiece));
    if (count < 0 && errno != EAGAIN) return systemError("writing to a terminal");
    if (count > 0) text.remove_prefix(size_t(count));
  }
  return {};
}

/** What was written to one end is on its way to the other for a moment, and must arrive before modes change. */
Status awaitInput(int slave, size_t length) {
  const int64_t limit = nowNs() + int64_t(kPatienceMs) * 1000000;
  int waiting = 0;
  while (::ioctl(slave, FIONREAD, &waiting) == 0 && size_t(waiting) < length) {
    if (nowNs() > limit) return Error{ENOBUFS, "a terminal has lost data"};
    sleepUs(50);
  }
  return {};
}

Status fillLines(const TerminalEnds& ends, const termios2& modes, const TerminalQueue& queue) {
  const unsigned char endOfFile = unusedCharacter(modes, queue);
  BLCR_TRY(setTerminalModes(ends.slave, lineModes(modes, endOfFile)));
  size_t total = 0;
  for (size_t index = 0; index < queue.lines.size(); ++index) {
    std::string text = queue.lines[index];
    total += text.size();
    if (text.empty() || !endsLine(modes, text.back())) text += char(endOfFile);
    const bool last = index + 1 == queue.lines.size();
    // What is not a line yet shows nowhere: it goes together with the last one.
    if (last) text += queue.input;
    BLCR_TRY(writeAll(ends.master, text));
    BLCR_TRY(awaitInput(ends.slave, total));
    if (last && (text.size() > kPiece || total == 0)) sleepUs(20000);
  }
  if (!queue.lines.empty()) return {};
  BLCR_TRY(writeAll(ends.master, queue.input));
  static_cast<void>(isReady(ends.slave, POLLIN));  // nothing to read yet: the kernel moves what is on its way before it answers
  return {};
}

}  // namespace

Result<termios2> terminalModes(int fd) {
  termios2 modes{};
  if (::ioctl(fd, TCGETS2, &modes) != 0) return systemError("terminal modes");
  return modes;
}

Status setTerminalModes(int fd, const termios2& modes) {
  if (::ioctl(fd, TCSETS2, &modes) != 0) return systemError("terminal modes");
  return {};
}

Status drainTerminal(const TerminalEnds& ends, const termios2& modes, TerminalQueue& into) {
  while ((modes.c_lflag & ICANON) != 0 && isReady(ends.slave, POLLIN)) {
    auto line = readSome(ends.slave);
    if (!line.ok()) return line.error();
    into.lines.push_back(*std::move(line));
  }
  BLCR_TRY(setTerminalModes(ends.slave, plainModes(modes)));
  BLCR_TRY(readAll(ends.slave, into.input));
  return readAll(ends.master, into.output);
}

Status fillTerminal(const TerminalEnds& ends, const termios2& modes, const TerminalQueue& queue) {
  BLCR_TRY(setTerminalModes(ends.slave, plainModes(modes)));
  BLCR_TRY(writeAll(ends.slave, queue.output));
  if ((modes.c_lflag & ICANON) == 0) {
    BLCR_TRY(writeAll(ends.master, queue.input));
    BLCR_TRY(awaitInput(ends.slave, std::min(queue.input.size(), kBuffer)));
  } else if (!queue.lines.empty() || !queue.input.empty()) {
    BLCR_TRY(fillLines(ends, modes, queue));
  }
  return setTerminalModes(ends.slave, modes);
}

bool takesData(const TerminalEnds& ends) { return isReady(ends.master, POLLOUT) && isReady(ends.slave, POLLOUT); }

}  // namespace blcr
