// What a program has forbidden itself, keys of its session, another kind of program: refused by name.
#include <elf.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "holds.h"

namespace holds {
namespace {

/** No new symbolic links: forbidden by Landlock, for this thread and what it begins. */
bool restrictItself() {
  constexpr long kCreateRuleset = 444, kRestrictSelf = 446;  // Linux 5.13
  const uint64_t handled[] = {1 << 12};                      // LANDLOCK_ACCESS_FS_MAKE_SYM
  const int rules = int(syscall(kCreateRuleset, handled, sizeof handled, 0));
  if (rules < 0) return false;
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(kRestrictSelf, rules, 0) == 0 && close(rules) == 0);
  return symlink("nowhere", "link") != 0;
}

void restrictedProcess() {
  if (!restrictItself()) notHere();
  hold();
  REQUIRE(symlink("nowhere", "link") != 0);
}

void restrictedThread() {
  static std::atomic<int> tell{0};
  std::thread other([] {
    tell = restrictItself() ? 1 : 2;
    until([] { return tell == 3; });
  });
  until([] { return tell != 0; });
  const bool here = tell == 1;
  if (here) hold();
  REQUIRE(!here || symlink("nowhere", "link") == 0);
  tell = 3;
  other.join();
  if (!here) notHere();
}

void sessionKeyring() {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) notHere();
  hold();
}

/** What their owner alone may not read: the program must have the key in reach. */
void userKeys() {
  const std::string name = uniqueName("");
  const long ring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1);
  const long key = syscall(SYS_add_key, "user", name.c_str(), "secret", 6, KEY_SPEC_USER_KEYRING);
  if (key < 0) notHere();
  hold();
  char text[16];
  REQUIRE(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text) == 6 && memcmp(text, "secret", 6) == 0);
  REQUIRE(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", name.c_str(), 0) == key);
  REQUIRE(syscall(SYS_request_key, "user", name.c_str(), nullptr, 0) == key && syscall(SYS_keyctl, KEYCTL_UNLINK, key, ring) == 0);
}

template <typename T>
std::string bytesOf(const T& object) {
  return std::string(reinterpret_cast<const char*>(&object), sizeof object);
}

/** An executable of 32 bits that waits for signals. */
std::string smallProgram() {
  constexpr uint32_t kBase = 0x8048000, kStart = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr);
  constexpr unsigned char kCode[] = {0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7};  // mov $pause, %eax; int $0x80; back
  Elf32_Ehdr head{};
  memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS32, head.e_ident[EI_DATA] = ELFDATA2LSB, head.e_ident[EI_VERSION] = EV_CURRENT;
  head.e_type = ET_EXEC, head.e_machine = EM_386, head.e_version = EV_CURRENT, head.e_entry = kBase + kStart;
  head.e_phoff = head.e_ehsize = sizeof head, head.e_phentsize = sizeof(Elf32_Phdr), head.e_phnum = 1;
  const Elf32_Phdr all{PT_LOAD, 0, kBase, kBase, kStart + sizeof kCode, kStart + sizeof kCode, PF_R | PF_X, 4096};
  return bytesOf(head) + bytesOf(all) + bytesOf(kCode);
}

void program32() {
  const int file = open("small", O_WRONLY | O_CREAT, 0700);
  REQUIRE(put(file, smallProgram()) == 0 && close(file) == 0);
  Pipe failed;
  REQUIRE(fcntl(failed.write, F_SETFD, FD_CLOEXEC) == 0);
  const pid_t child = spawn([&] {
    execl("small", "small", nullptr);
    put(failed.write, "x");
  });
  close(failed.write);
  if (take(failed.read, 1) == "x") notHere();
  hold();
  int status = 0;
  REQUIRE(kill(child, SIGTERM) == 0 && waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
}

const Case kProcess(Supported{"restrictedProcess", "tasks", "processes that have restricted themselves (Landlock)",
                              "refused: has restricted itself"},
                    restrictedProcess);
const Case kThread(Supported{"restrictedThread", "tasks", "threads that have restricted themselves (Landlock)",
                             "refused: has restricted itself"},
                   restrictedThread);
const Case kUserKeys(Supported{"userKeys", "tasks", "keys in the keyring of the user", "restored"}, userKeys);
const Case kSession(Supported{"sessionKeyring", "tasks", "a session keyring of the job's own", "refused: a session keyring of its own"},
                    sessionKeyring);
const Case kSmall(Supported{"program32", "tasks", "programs of 32 bits", "refused: runs a program of 32 bits"}, program32);

}  // namespace
}  // namespace holds
