// What cannot be rebuilt: the checkpoint is refused by name and the program goes on.
#include <asm/ldt.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "holds.h"

namespace holds {
namespace {

void userFault() {
  const int fd = int(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  if (fd < 0) notHere();
  hold();
}

void aio() {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 16, &context) != 0) notHere();
  hold();
}

void perf() {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof attributes;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  const int fd = int(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  if (fd < 0) notHere();
  hold();
}

void ownFilter() {
  sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{1, allow};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  hold();
}

void ownUserNamespace() {
  if (unshare(CLONE_NEWUSER) != 0) notHere();
  hold();
}

void ownMountNamespace() {
  const pid_t child = spawn([] {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) notHere();
    hold();
  });
  REQUIRE(endsWell(child));
}

void hugeFile() {
  REQUIRE(mkdir("room", 0700) == 0);
  if (mount("none", "room", "hugetlbfs", 0, nullptr) != 0) notHere();
  const int fd = open("room/file", O_RDWR | O_CREAT, 0600);
  REQUIRE(fd >= 0 && umount2("room", MNT_DETACH) == 0);
  hold();
  REQUIRE(ftruncate(fd, 0) == 0);
}

/** Taken by a process that had the same descriptors, and has ended. */
void lockOfAnother() {
  static int file;
  file = open("locked", O_RDWR | O_CREAT, 0600);
  alignas(16) static char stack[65536];
  const auto take = [](void*) {
    struct flock range{};
    range.l_type = F_WRLCK;
    return fcntl(file, F_SETLK, &range);
  };
  const pid_t child = clone(take, stack + sizeof stack, CLONE_FILES | SIGCHLD, nullptr);
  REQUIRE(child > 0 && endsWell(child));
  hold();
}

void secretMemory() {
  const int fd = int(syscall(SYS_memfd_secret, 0));
  if (fd < 0) notHere();
  hold();
}

void matrixRegisters() {
  constexpr long kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM
  if (syscall(SYS_arch_prctl, kRequest, 18) != 0) notHere();
  hold();
}

/** Like programs that emulate another system: calls from anywhere but `allowed` become SIGSYS when the selector says so. */
/** Before Linux 6.4 nobody is told. */
void dispatched() {
  utsname kernel{};
  int major = 0, minor = 0;
  if (uname(&kernel) != 0 || sscanf(kernel.release, "%d.%d", &major, &minor) != 2 || major < 6 || (major == 6 && minor < 4)) notHere();
  static char selector = 0;  // SYSCALL_DISPATCH_FILTER_ALLOW
  if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &selector) != 0) notHere();
  hold();
}

void ownSegments() {
  user_desc segment{};
  segment.entry_number = 0;
  segment.limit = 0xfffff;
  segment.seg_32bit = 1;
  segment.limit_in_pages = 1;
  if (syscall(SYS_modify_ldt, 1, &segment, sizeof segment) != 0) notHere();
  hold();
}

void ownKeys() {
  if (syscall(SYS_add_key, "user", "holds", "secret", 6, KEY_SPEC_PROCESS_KEYRING) < 0) notHere();
  hold();
}

void faultingCpuid() {
  if (syscall(SYS_arch_prctl, 0x1012 /* ARCH_SET_CPUID */, 0) != 0) notHere();
  hold();
}

void fileEvents() {
  const int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY);
  if (fd < 0) notHere();
  hold();
}

void directoryNotes() {
  const int directory = open(".", O_RDONLY | O_DIRECTORY);
  if (fcntl(directory, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT) != 0) notHere();
  signal(SIGIO, SIG_IGN);
  hold();
}

void messageQueue() {
  const mqd_t queue = mq_open(("/holds." + std::to_string(getpid())).c_str(), O_RDWR | O_CREAT, 0600, nullptr);
  if (queue < 0) notHere();
  mq_unlink(("/holds." + std::to_string(getpid())).c_str());
  REQUIRE(mq_send(queue, "message", 8, 3) == 0);
  hold();
  std::string text(8192, 0);
  unsigned priority = 0;
  REQUIRE(mq_receive(queue, text.data(), text.size(), &priority) == 8 && priority == 3);
}

void urgentData() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && put(ends[0], "plain") == 0);
  if (send(ends[0], "!", 1, MSG_OOB) != 1) notHere();
  hold();
  REQUIRE(take(ends[1], 5) == "plain");
  char byte = 0;
  REQUIRE(recv(ends[1], &byte, 1, MSG_OOB) == 1 && byte == '!');
}

const Case kNotes(Supported{"directoryNotes", "descriptors", "directories whose changes are told by signals (F_NOTIFY)",
                            "refused: F_NOTIFY"},
                  directoryNotes);
const Case kQueue(Supported{"messageQueue", "descriptors", "POSIX message queues", "refused: a POSIX message queue"}, messageQueue);
const Case kUrgent(Supported{"urgentData", "descriptors", "urgent data (MSG_OOB) in a local socket", "refused: urgent data waits in it"},
                   urgentData);
const Case kDispatch(Supported{"syscallDispatch", "tasks",
                               "system calls that a program dispatches to itself (PR_SET_SYSCALL_USER_DISPATCH)",
                               "refused: PR_SET_SYSCALL_USER_DISPATCH"},
                     dispatched);
const Case kSegments(Supported{"ownSegments", "tasks", "segments of a program's own (modify_ldt)", "refused: modify_ldt"}, ownSegments);
const Case kKeys(Supported{"processKeyring", "tasks", "keys in the keyring of a process", "refused: keyring of its own"}, ownKeys);
const Case kCpuid(Supported{"cpuidFault", "registers", "a CPUID instruction that faults (ARCH_SET_CPUID)", "refused: ARCH_SET_CPUID"},
                  faultingCpuid);
const Case kFanotify(Supported{"fanotify", "descriptors", "fanotify", "refused: anon_inode:[fanotify]"}, fileEvents);
const Case kMatrix(Supported{"matrixRegisters", "registers", "matrix registers (AMX)", "refused: AMX"}, matrixRegisters);
const Case kLockOfAnother(Supported{"lockOfAnother", "descriptors", "a POSIX lock that was taken by a process which is gone",
                                    "refused: taken by a process that is not part of the job"},
                          lockOfAnother);
const Case kUserFault(Supported{"userfaultfd", "descriptors", "userfaultfd", "refused: userfaultfd"}, userFault);
const Case kAio(Supported{"aio", "memory", "asynchronous I/O contexts (io_setup)", "refused: asynchronous I/O"}, aio);
const Case kPerf(Supported{"perfEvent", "descriptors", "perf events", "refused: anon_inode:[perf_event]"}, perf);
const Case kFilter(Supported{"seccompFilter", "tasks", "seccomp filters of the job's own", "refused: seccomp filter"}, ownFilter);
const Case kUser(Supported{"ownUserNamespace", "hosts", "a program in a user namespace of its own", "refused: user namespace"},
                 ownUserNamespace);
const Case kMount(Supported{"ownMountNamespace", "hosts", "processes in a mount namespace of their own", "refused: namespace"},
                  ownMountNamespace);
const Case kHuge(Supported{"hugePageFile", "memory", "huge-page files (hugetlbfs)", "refused: huge-page"}, hugeFile);
const Case kSecret(Supported{"secretMemory", "memory", "memfd_secret", "refused: secretmem"}, secretMemory);

}  // namespace
}  // namespace holds
