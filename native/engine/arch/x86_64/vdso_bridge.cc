#include "arch/x86_64/vdso_bridge.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/codes.h"
#include "base/elf.h"

namespace blcr {
namespace {

using Code = std::string;

/** Weak aliases of the same function lack the prefix. Source: vdso(7). */
std::string_view plainName(std::string_view name) {
  constexpr std::string_view kPrefix = "__vdso_";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return name;
}

template <typename T>
void append(Code& code, T value) {
  code.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/** jmp *0(%rip), and the address: no register and no flag changes. */
Code jumpTo(uint64_t address) {
  Code code("\xff\x25\0\0\0\0", 6);
  append(code, address);
  return code;
}

/** mov $number, %eax; syscall; ret. Arguments are where the call wants them; rcx and r11 are the caller's to lose. */
Code callKernel(long number) {
  Code code("\xb8", 1);
  append(code, uint32_t(number));
  return code + Code("\x0f\x05\xc3", 3);
}

/** mov $-ENOSYS, %rax; ret */
Code notThere() {
  Code code("\x48\xc7\xc0", 3);
  append(code, int32_t(-ENOSYS));
  return code + Code("\xc3", 1);
}

/** The question for the size of a state, asked with length ~0 in r8, gets ENOSYS. Source: Linux, lib/vdso/getrandom.c. */
Code getrandomCode() {
  const Code call = callKernel(SYS_getrandom);
  Code code("\x49\x83\xf8\xff\x74", 5);  // cmp $-1, %r8; je past the call
  code.push_back(char(call.size()));
  return code + call + notThere();
}

/** What stands in for a function that this host's vdso lacks. */
std::optional<Code> substitute(std::string_view name) {
  constexpr struct {
    std::string_view name;
    long number;
  } kCalls[] = {{"clock_gettime", SYS_clock_gettime},
                {"clock_getres", SYS_clock_getres},
                {"gettimeofday", SYS_gettimeofday},
                {"time", SYS_time},
                {"getcpu", SYS_getcpu}};
  for (const auto& call : kCalls)
    if (call.name == name) return callKernel(call.number);
  // Enclaves cannot be checkpointed, so nobody uses it; kernels have or lack it by configuration.
  if (name == "sgx_enter_enclave") return notThere();
  return std::nullopt;
}

using Functions = std::map<std::string, uint64_t, std::less<>>;

Functions functionsOf(std::span<const std::byte> image) {
  Functions functions;
  for (const ElfSymbol& symbol : dynamicSymbols(image))
    if (symbol.function) functions.emplace(plainName(symbol.name), symbol.value);
  return functions;
}

}  // namespace

Result<std::string> bridgeVdso(std::span<const std::byte> recorded, std::span<const std::byte> here, uint64_t hereAddress) {
  const Functions old = functionsOf(recorded), present = functionsOf(here);
  if (old.empty()) return Error{kErrorBadArchitecture, "the recorded vdso has no functions"};
  std::vector<uint64_t> starts;
  for (const auto& [name, address] : old) starts.push_back(address);
  std::sort(starts.begin(), starts.end());
  Code image(reinterpret_cast<const char*>(recorded.data()), recorded.size());
  for (const auto& [name, address] : old) {
    const auto counterpart = present.find(name);
    std::optional<Code> code;
    if (name == "getrandom") {
      code = getrandomCode();
    } else if (counterpart != present.end()) {
      code = jumpTo(hereAddress + counterpart->second);
    } else {
      code = substitute(name);
    }
    if (!code) return Error{kErrorBadArchitecture, "this kernel's vdso has no function " + name + ", which the job may be using"};
    const auto next = std::upper_bound(starts.begin(), starts.end(), address);
    const uint64_t end = next == starts.end() ? image.size() : *next;
    if (address > image.size() || end > image.size() || end - address < code->size())
      return Error{kErrorBadArchitecture, "function " + name + " of the recorded vdso is too short to be redirected"};
    std::memcpy(image.data() + address, code->data(), code->size());
  }
  return image;
}

}  // namespace blcr
