#include "restore/tasks/credentials.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace blcr {
namespace {

using image::Credentials;

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
};

uint64_t ownPermitted() {
  Capabilities own;
  ::syscall(SYS_capget, &own.header, own.data);
  return own.data[0].permitted | uint64_t(own.data[1].permitted) << 32;
}

std::vector<uint32_t> ownGroups() {
  static_assert(sizeof(gid_t) == sizeof(uint32_t));
  const int count = ::getgroups(0, nullptr);
  std::vector<uint32_t> groups(size_t(std::max(count, 0)));
  const int got = ::getgroups(int(groups.size()), groups.data());
  groups.resize(size_t(std::max(got, 0)));
  return groups;
}

Status dropBounding(Stub& stub, const Credentials& saved) {
  for (uint64_t capability = 0; capability < 64; ++capability) {
    const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;  // beyond the last capability of this kernel
    if (held == 0 || (saved.capBounding >> capability & 1) != 0) continue;
    BLCR_TRY(done(stub.call("bounding set", SYS_prctl, {PR_CAPBSET_DROP, capability})));
  }
  return {};
}

Status setCapabilities(Stub& stub, const Capabilities& wanted) {
  const auto header = stub.putObject(wanted.header);
  const auto data = stub.put(std::as_bytes(std::span(wanted.data)));
  if (!header.ok() || !data.ok()) return header.ok() ? data.error() : header.error();
  return done(stub.call("capset", SYS_capset, {header.value(), data.value()}));
}

/** Everything that it may use, it uses. */
Status useCapabilities(Stub& stub) {
  Capabilities wanted;
  const uint64_t permitted = ownPermitted();
  for (size_t half = 0; half < 2; ++half) wanted.data[half].permitted = wanted.data[half].effective = uint32_t(permitted >> (32 * half));
  return setCapabilities(stub, wanted);
}

/** The ids that files are opened with. These two calls fail silently: what is set is told by asking again. */
Status setForFiles(Stub& stub, const char* what, long number, uint32_t id) {
  BLCR_TRY(done(stub.call(what, number, {id})));
  const auto set = stub.call(what, number, {id});
  if (!set.ok()) return set.error();
  return uint32_t(set.value()) == id ? Status() : Status(Error{EPERM, std::string(what) + " " + std::to_string(id)});
}

/** Only what differs from the coordinator's is set: an ordinary user can set nothing, and has nothing to set. */
Status applyUsers(Stub& stub, const Credentials& saved) {
  uint32_t uid[3], gid[3];
  ::getresuid(&uid[0], &uid[1], &uid[2]);
  ::getresgid(&gid[0], &gid[1], &gid[2]);
  const bool sameUser = std::equal(uid, uid + 3, saved.uid) && saved.uid[3] == saved.uid[1];
  const bool sameGroup = std::equal(gid, gid + 3, saved.gid) && saved.gid[3] == saved.gid[1];
  if (sameUser && sameGroup && saved.groups == ownGroups()) return {};
  const auto groups = stub.put(std::as_bytes(std::span(saved.groups)));
  if (!groups.ok()) return groups.error();
  const auto set = done(stub.call("setgroups", SYS_setgroups, {saved.groups.size(), groups.value()}));
  if (sameUser && sameGroup) return {};  // an ordinary user may not, and keeps those of this login
  BLCR_TRY(set);
  BLCR_TRY(done(stub.call("setresgid", SYS_setresgid, {saved.gid[0], saved.gid[1], saved.gid[2]})));
  if (saved.gid[3] != saved.gid[1]) BLCR_TRY(setForFiles(stub, "setfsgid", SYS_setfsgid, saved.gid[3]));
  BLCR_TRY(done(stub.call("keeping capabilities", SYS_prctl, {PR_SET_KEEPCAPS, 1})));
  BLCR_TRY(done(stub.call("setresuid to " + std::to_string(saved.uid[0]), SYS_setresuid, {saved.uid[0], saved.uid[1], saved.uid[2]})));
  BLCR_TRY(done(stub.call("keeping capabilities", SYS_prctl, {PR_SET_KEEPCAPS, 0})));
  if (saved.uid[3] == saved.uid[1]) return {};
  BLCR_TRY(useCapabilities(stub));  // those that the change of users has only kept
  return setForFiles(stub, "setfsuid", SYS_setfsuid, saved.uid[3]);
}

Status applyCapabilities(Stub& stub, const Credentials& saved, uint64_t permitted) {
  Capabilities wanted;
  for (size_t half = 0; half < 2; ++half) {
    wanted.data[half].permitted = uint32_t((saved.capPermitted & permitted) >> (32 * half));
    wanted.data[half].effective = uint32_t((saved.capEffective & permitted) >> (32 * half));
    wanted.data[half].inheritable = uint32_t((saved.capInheritable & permitted) >> (32 * half));
  }
  BLCR_TRY(setCapabilities(stub, wanted));
  for (uint64_t capability = 0; capability < 64; ++capability) {
    if ((saved.capAmbient & permitted & saved.capInheritable & saved.capPermitted) >> capability & 1)
      BLCR_TRY(done(stub.call("ambient set", SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability})));
  }
  return {};
}

}  // namespace

Status applyCredentials(Job& job, Building& building) {
  const Credentials& saved = building.process->credentials;
  const uint64_t permitted = ownPermitted();
  constexpr uint64_t kSetPcap = 1ull << CAP_SETPCAP;
  for (size_t index = 0; index < building.tasks.size(); ++index) {
    Stub& stub = building.tasks[index];
    if ((permitted & kSetPcap) != 0) BLCR_TRY(dropBounding(stub, saved));
    if (saved.secureBits != 0 && (permitted & kSetPcap) != 0)
      BLCR_TRY(done(stub.call("secure bits", SYS_prctl, {PR_SET_SECUREBITS, saved.secureBits})));
    BLCR_TRY(applyUsers(stub, saved));
    if (building.process->tasks[index].noNewPrivileges) BLCR_TRY(done(stub.call("no_new_privs", SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1})));
    BLCR_TRY(applyCapabilities(stub, saved, permitted));
  }
  if ((saved.capPermitted & ~permitted) != 0)
    job.log.line("process " + std::to_string(building.process->pid) + ": some of its capabilities do not exist here");
  // A change of users makes a process undumpable, and the next checkpoint would be refused. 2 (root only) cannot be set from outside.
  return done(building.leader().call("dumpable", SYS_prctl, {PR_SET_DUMPABLE, saved.dumpable == 0 ? 0u : 1u}));
}

}  // namespace blcr
