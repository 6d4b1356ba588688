#include "arch/x86_64/vdso_frame.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/elf.h"

namespace blcr {
namespace {

constexpr uint64_t kBasePointer = 6, kStackPointer = 7, kReturnAddress = 16;  // numbers of DWARF for x86_64
constexpr int64_t kWord = 8;

Error unknown(const char* what) { return Error{ENOTSUP, std::string("vdso: ") + what}; }

/** Reads forwards inside [at, end) of an image; what lies outside is 0, and seen at the end. */
class Cursor {
 public:
  Cursor(std::span<const std::byte> image, uint64_t at, uint64_t end) : image_(image.first(std::min(end, image.size()))), at_(at) {}

  template <typename T>
  T get() {
    T value{};
    good_ = good_ && readObject(image_, at_, value);
    at_ += sizeof value;
    return value;
  }
  uint64_t getUnsigned() {
    uint64_t value = 0;
    for (unsigned shift = 0; good_ && shift < 64; shift += 7) {
      const auto byte = get<uint8_t>();
      value |= uint64_t(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  int64_t getSigned() {
    uint64_t value = 0;
    for (unsigned shift = 0; good_ && shift < 64;) {
      const auto byte = get<uint8_t>();
      value |= uint64_t(byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~0ull << shift;
      break;
    }
    return int64_t(value);
  }
  void skip(uint64_t bytes) {
    good_ = good_ && at_ <= image_.size() && bytes <= image_.size() - at_;
    at_ += bytes;
  }
  [[nodiscard]] uint64_t at() const { return at_; }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool atEnd() const { return !good_ || at_ >= image_.size(); }

 private:
  std::span<const std::byte> image_;
  uint64_t at_;
  bool good_ = true;
};

/** What is common to the functions of an entry. */
struct CommonEntry {
  uint64_t codeFactor = 1;
  int64_t dataFactor = 1;
  uint64_t program = 0, end = 0;
};

struct FunctionEntry {
  CommonEntry common;
  uint64_t start = 0;
  uint64_t program = 0, end = 0;
};

constexpr uint8_t kRelativeSigned32 = 0x1b;  // DW_EH_PE_pcrel | DW_EH_PE_sdata4: what is used wherever code is position-independent

Result<CommonEntry> readCommon(std::span<const std::byte> image, uint64_t at) {
  Cursor cursor(image, at, image.size());
  const auto length = cursor.get<uint32_t>();
  CommonEntry entry;
  entry.end = cursor.at() + length;
  const auto id = cursor.get<uint32_t>();
  const auto version = cursor.get<uint8_t>();
  const char kind[] = {cursor.get<char>(), cursor.get<char>(), cursor.get<char>()};
  // "zR" and nothing else: no frames of signal handlers, no routines for exceptions.
  if (id != 0 || version != 1 || std::string_view(kind, 3) != std::string_view("zR", 3)) return unknown("unusual unwind table");
  entry.codeFactor = cursor.getUnsigned();
  entry.dataFactor = cursor.getSigned();
  const auto returnAddress = cursor.get<uint8_t>();
  const uint64_t more = cursor.getUnsigned();
  const auto encoding = cursor.get<uint8_t>();
  entry.program = cursor.at();
  if (!cursor.good() || returnAddress != kReturnAddress || more != 1 || encoding != kRelativeSigned32)
    return unknown("unusual unwind table");
  return entry;
}

/** An entry of .eh_frame, when it is that of the function around `offset`. */
Result<FunctionEntry> readFunction(std::span<const std::byte> image, uint64_t at, uint64_t offset) {
  Cursor cursor(image, at, image.size());
  const auto length = cursor.get<uint32_t>();
  FunctionEntry entry;
  entry.end = cursor.at() + length;
  const uint64_t idAt = cursor.at();
  const auto common = readCommon(image, idAt - cursor.get<uint32_t>());
  if (!common.ok()) return common.error();
  entry.common = common.value();
  const uint64_t startAt = cursor.at();
  entry.start = startAt + uint64_t(int64_t(cursor.get<int32_t>()));
  const auto size = cursor.get<uint32_t>();
  cursor.skip(cursor.getUnsigned());
  entry.program = cursor.at();
  if (!cursor.good() || offset < entry.start || offset - entry.start >= size) return unknown("no unwind table for this place");
  return entry;
}

/** Through the sorted table of .eh_frame_hdr. */
Result<FunctionEntry> findFunction(std::span<const std::byte> image, uint64_t offset) {
  Elf64_Ehdr header{};
  if (!readObject(image, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return unknown("no ELF image");
  for (uint64_t index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment{};
    if (!readObject(image, header.e_phoff + index * sizeof segment, segment)) break;
    if (segment.p_type != PT_GNU_EH_FRAME || segment.p_vaddr != segment.p_offset) continue;
    Cursor cursor(image, segment.p_vaddr, image.size());
    constexpr uint32_t kUsual = 0x3b031b01;  // version 1, table of pairs relative to its start
    if (cursor.get<uint32_t>() != kUsual) break;
    cursor.skip(sizeof(int32_t));
    uint64_t entry = 0;
    for (auto left = cursor.get<uint32_t>(); left > 0 && cursor.good(); --left) {
      const auto start = segment.p_vaddr + uint64_t(int64_t(cursor.get<int32_t>()));
      const auto at = segment.p_vaddr + uint64_t(int64_t(cursor.get<int32_t>()));
      if (!cursor.good() || start > offset) break;
      entry = at;
    }
    if (entry != 0) return readFunction(image, entry, offset);
  }
  return unknown("no unwind tables");
}

/** What a table has said so far. */
struct Rules {
  uint64_t frameRegister = kStackPointer;
  int64_t frameOffset = 0;
  std::optional<int64_t> basePointer, returnAddress;
};

/** Follows the table of one function down to a place in it. */
class Interpreter {
 public:
  Interpreter(std::span<const std::byte> image, const FunctionEntry& entry, uint64_t offset)
      : image_(image), entry_(entry), offset_(offset), place_(entry.start) {}

  Result<Rules> run() {
    BLCR_TRY(follow(Cursor(image_, entry_.common.program, entry_.common.end)));
    first_ = now_;
    BLCR_TRY(follow(Cursor(image_, entry_.program, entry_.end)));
    return now_;
  }

 private:
  Status follow(Cursor cursor) {
    while (!cursor.atEnd() && place_ <= offset_) BLCR_TRY(one(cursor));
    return cursor.good() ? Status() : unknown("damaged unwind table");
  }

  Status one(Cursor& cursor) {
    const auto operation = cursor.get<uint8_t>();
    const uint64_t low = operation & 0x3f;
    switch (operation >> 6) {
      case 1:
        return advance(low);
      case 2:
        return saved(low, cursor.getUnsigned());
      case 3:
        return restored(low);
      default:
        return extended(operation, cursor);
    }
  }

  /** Rules that come behind the place are not looked at, those for the place itself are. */
  Status advance(uint64_t distance) {
    const uint64_t next = place_ + distance * entry_.common.codeFactor;
    if (next < place_) return unknown("damaged unwind table");
    place_ = next;
    return {};
  }

  std::optional<int64_t>* ruleOf(uint64_t number) {
    return number == kBasePointer ? &now_.basePointer : number == kReturnAddress ? &now_.returnAddress : nullptr;
  }

  Status saved(uint64_t number, uint64_t factored) {
    if (factored > UINT16_MAX) return unknown("damaged unwind table");
    if (auto* rule = ruleOf(number)) *rule = int64_t(factored) * entry_.common.dataFactor;
    return {};
  }

  Status restored(uint64_t number) {
    if (number == kBasePointer) now_.basePointer = first_.basePointer;
    if (number == kReturnAddress) now_.returnAddress = first_.returnAddress;
    return {};
  }

  Status frame(uint64_t number, uint64_t offset) {
    if ((number != kBasePointer && number != kStackPointer) || offset > UINT16_MAX) return unknown("unusual frame");
    now_.frameRegister = number;
    now_.frameOffset = int64_t(offset);
    return {};
  }

  Status extended(uint8_t operation, Cursor& cursor) {
    switch (operation) {
      case 0x00:  // nop
        return {};
      case 0x02:
        return advance(cursor.get<uint8_t>());
      case 0x03:
        return advance(cursor.get<uint16_t>());
      case 0x04:
        return advance(cursor.get<uint32_t>());
      case 0x0a:
        remembered_.push_back(now_);
        return {};
      case 0x0b:
        if (remembered_.empty()) return unknown("damaged unwind table");
        now_ = remembered_.back();
        remembered_.pop_back();
        return {};
      case 0x0c: {
        const uint64_t number = cursor.getUnsigned();
        return frame(number, cursor.getUnsigned());
      }
      case 0x0d:
        return frame(cursor.getUnsigned(), uint64_t(now_.frameOffset));
      case 0x0e:
        return frame(now_.frameRegister, cursor.getUnsigned());
      default:
        return unknown("unusual unwind table");
    }
  }

  std::span<const std::byte> image_;
  const FunctionEntry& entry_;
  uint64_t offset_, place_;
  Rules now_, first_;
  std::vector<Rules> remembered_;
};

/** Whether the instruction that ends at the end of `code` may be a call: near, or through a register or memory. */
bool endsInCall(std::span<const std::byte> code) {
  const auto fromEnd = [&code](size_t distance) { return std::to_integer<uint8_t>(code[code.size() - distance]); };
  if (fromEnd(5) == 0xe8) return true;
  for (size_t length = 2; length <= 7; ++length)
    if (fromEnd(length) == 0xff && (fromEnd(length - 1) & 0x38) == 0x10) return true;
  return false;
}

}  // namespace

Result<CallFrame> callFrame(std::span<const std::byte> image, uint64_t offset) {
  const auto entry = findFunction(image, offset);
  if (!entry.ok()) return entry.error();
  const auto rules = Interpreter(image, entry.value(), offset).run();
  if (!rules.ok()) return rules.error();
  if (rules.value().returnAddress != -kWord || rules.value().frameOffset < kWord) return unknown("unusual frame");
  return CallFrame{rules.value().frameRegister == kBasePointer, rules.value().frameOffset, rules.value().basePointer};
}

Result<WayOut> wayOut(const RemoteMemory& memory, uint64_t start, uint64_t end, const user_regs_struct& regs) {
  constexpr int kDepth = 8;
  constexpr size_t kLongestCall = 7;
  std::vector<std::byte> image(end - start);
  BLCR_TRY(memory.read(start, image));
  uint64_t base = regs.rbp, stack = regs.rsp, place = regs.rip - start;
  for (int depth = 0; depth < kDepth; ++depth) {
    const auto frame = callFrame(image, place);
    if (!frame.ok()) return frame.error();
    const uint64_t frameEnd = (frame.value().fromBasePointer ? base : stack) + uint64_t(frame.value().offset);
    if (frameEnd <= stack || frameEnd % uint64_t(kWord) != 0) return unknown("unusual frame");
    const auto target = memory.get<uint64_t>(frameEnd - uint64_t(kWord));
    if (!target.ok()) return target.error();
    if (frame.value().savedBasePointer) {
      const auto saved = memory.get<uint64_t>(frameEnd + uint64_t(*frame.value().savedBasePointer));
      if (!saved.ok()) return saved.error();
      base = saved.value();
    }
    std::array<std::byte, kLongestCall> code{};
    if (!memory.read(target.value() - code.size(), code) || !endsInCall(code)) return unknown("no call before the address of return");
    if (target.value() < start || target.value() >= end) return WayOut{frameEnd - uint64_t(kWord), target.value()};
    stack = frameEnd;
    place = target.value() - start - 1;  // inside of the call: behind it another rule may hold
  }
  return unknown("too many frames");
}

}  // namespace blcr
