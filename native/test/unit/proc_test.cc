// Parsers of /proc: known lines, this very process, and thousands of damaged texts.
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/vdso.h"
#include "base/io.h"
#include "check.h"
#include "proc/file_system.h"
#include "proc/inet_diag.h"
#include "proc/inet_table.h"
#include "proc/maps.h"
#include "proc/multicast.h"
#include "proc/pagemap.h"
#include "proc/population.h"
#include "proc/status.h"
#include "proc/system_v.h"

using namespace blcr;

namespace {

const char* const kMaps =
    "00400000-00452000 r-xp 00000000 08:02 173521     /usr/bin/a b (deleted)\n"
    "7f0000000000-7f0000001000 rw-s 00010000 00:05 4  /x\\012y\n"
    "7ffd0000-7ffe0000 ---p 00000000 00:00 0          [stack]\n";

const char* const kStat =
    "77 (a) b (c) S 1 2 3 34816 5 0 0 0 0 0 0 0 0 0 20 0 4 0 999 0 0 0 11 12 13 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 21 22 23 24 25 26 27 "
    "256\n";

/** One random change: a byte, a cut, or a doubled piece. */
std::string mutate(std::string text, std::mt19937& random) {
  const size_t at = random() % text.size();
  switch (random() % 3) {
    case 0:
      text[at] = char(random());
      break;
    case 1:
      text.resize(at);
      break;
    default:
      text.insert(at, text.substr(random() % text.size(), random() % 40));
  }
  return text;
}

}  // namespace

TEST(maps_lines_are_parsed) {
  std::string text = kMaps;
  auto unordered = parseMaps(text);
  CHECK(!unordered.ok() && unordered.error().code == EINVAL);  // the third area lies below the second
  text.resize(text.rfind("7ffd"));
  auto maps = parseMaps(text);
  CHECK(maps.ok() && maps->size() == 2);
  if (!maps.ok()) return;
  const Mapping& first = maps.value()[0];
  CHECK(first.start == 0x400000 && first.end == 0x452000 && first.protection == (PROT_READ | PROT_EXEC) && !first.shared);
  CHECK(first.major == 8 && first.minor == 2 && first.inode == 173521 && first.path == "/usr/bin/a b (deleted)");
  const Mapping& second = maps.value()[1];
  CHECK(second.shared && second.offset == 0x10000 && second.path == "/x\ny");
}

TEST(own_maps_agree_with_smaps) {
  void* page = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(page, 8192, MADV_DONTFORK);
  auto maps = readMaps(getpid());
  auto flags = readVmFlags(getpid());
  CHECK(maps.ok() && flags.ok());
  if (!maps.ok() || !flags.ok()) return;
  CHECK(flags->contains(reinterpret_cast<uint64_t>(page)));
  CHECK(hasVmFlag((*flags)[reinterpret_cast<uint64_t>(page)], "dc"));
  CHECK(!hasVmFlag((*flags)[reinterpret_cast<uint64_t>(page)], "gd"));
  bool stack = false;
  for (const Mapping& mapping : *maps) {
    if (mapping.path != "[stack]") continue;
    stack = hasVmFlag((*flags)[mapping.start], "gd");
  }
  CHECK(stack);
  munmap(page, 8192);
}

TEST(areas_without_pages_are_told_from_others) {
  constexpr size_t kSize = 8192;
  char* empty = static_cast<char*>(mmap(nullptr, 3 * kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(mprotect(empty + kSize, kSize, PROT_READ | PROT_WRITE) == 0);
  empty[kSize] = 1;
  auto populated = parsePopulated(readFile("/proc/self/smaps").value());
  CHECK(populated.ok());
  if (!populated.ok()) return;
  const auto has = [&](const char* address) {
    return std::any_of(populated->begin(), populated->end(),
                       [at = reinterpret_cast<uint64_t>(address)](const PageRange& range) { return range.start <= at && at < range.end; });
  };
  CHECK(!has(empty) && has(empty + kSize) && !has(empty + 2 * kSize));
  munmap(empty, 3 * kSize);
}

TEST(huge_pages_are_told) {
  const auto sizes = parseHugePages(
      "1000-2000 r--p 00000000 00:00 0 \nSize: 4 kB\nKernelPageSize:        4 kB\nVmFlags: rd \n"
      "200000-400000 rw-s 00000000 00:10 77 /anon_hugepage (deleted)\nKernelPageSize:     2048 kB\nVmFlags: rd ht \n");
  CHECK(sizes.size() == 1 && sizes.begin()->first == 0x200000 && sizes.begin()->second == 2 << 20);
  auto own = readHugePages(getpid());
  CHECK(own.ok() && own->empty());
}

TEST(stat_survives_brackets_in_the_name) {
  auto stat = parseStat(kStat);
  CHECK(stat.ok());
  if (!stat.ok()) return;
  CHECK(stat->comm == "a) b (c" && stat->state == 'S' && stat->ppid == 1 && stat->pgid == 2 && stat->sid == 3);
  CHECK(stat->threads == 4 && stat->startTime == 999 && stat->startCode == 11 && stat->startStack == 13);
  CHECK(stat->exitSignal == 17 && stat->startData == 21 && stat->startBrk == 23 && stat->envEnd == 27 && stat->exitCode == 256);
}

TEST(own_status) {
  auto status = readStatus(getpid());
  auto stat = readStat(getpid());
  CHECK(status.ok() && stat.ok());
  if (!status.ok() || !stat.ok()) return;
  CHECK(status->tgid == getpid() && status->uid[1] == geteuid() && status->nsPid.size() >= 1);
  CHECK(stat->ppid == getppid() && stat->pgid == getpgrp());
  auto tasks = listTasks(getpid());
  CHECK(tasks.ok() && !tasks->empty() && tasks->front() == getpid());
  CHECK(!readStat(0x7fffffff).ok() && readStat(0x7fffffff).error().code == ESRCH);
}

TEST(the_text_of_a_status_is_whole) {
  const auto text = readTaskStatusText(getpid(), getpid()), other = readTaskStatusText(getpid(), getppid());
  CHECK(text.ok() && text.value().starts_with("Name:") && text.value().ends_with("\n"));
  CHECK(text.ok() && text.value().find("\nnonvoluntary_ctxt_switches:") != std::string::npos);
  CHECK(!other.ok() && other.error().code == ESRCH);
}

TEST(a_new_task_is_counted_and_one_that_was_waited_for_is_taken_off) {
  const auto parsed = parsePopulation("cpu 1\nprocesses 4711\nprocs_running 1\n", "0.1 0.2 0.3 2/180 99\n");
  CHECK(parsed.has_value() && parsed->everMade == 4711 && parsed->present == 180);
  CHECK(!parsePopulation("processes 4711\n", "0.1 2/180 99\n") && !parsePopulation("\nprocesses x", "1/2") && !parsePopulation("", ""));
  const auto before = readPopulation();
  if (!before) return;  // /proc of a container
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  const auto during = readPopulation();
  CHECK(during && during->everMade > before->everMade && *during != *before);
  CHECK(::waitpid(child, nullptr, 0) == child);
  CHECK(readPopulation()->everMade >= during->everMade);
}

TEST(damaged_text_never_crashes) {
  std::mt19937 random(1);
  const std::string smaps = readFile("/proc/self/smaps").value();
  const std::string status = readFile("/proc/self/status").value();
  for (int round = 0; round < 3000; ++round) {
    std::string text = kMaps;
    for (unsigned count = random() % 4; count > 0 && !text.empty(); --count) text = mutate(text, random);
    auto maps = parseMaps(text);
    if (maps.ok()) {
      for (const Mapping& mapping : *maps) CHECK(mapping.start < mapping.end);
    }
    static_cast<void>(parseStat(mutate(kStat, random)).ok());
    static_cast<void>(parseStatus(mutate(status, random)).ok());
    if (round % 20 == 0)
      static_cast<void>(parseVmFlags(mutate(smaps, random)).ok()), static_cast<void>(parsePopulated(mutate(smaps, random)).ok());
  }
}

TEST(vdso_has_a_syscall_instruction) {
  const RemoteMemory memory(getpid());
  const auto maps = readMaps(getpid()).value();
  std::vector<std::byte> image;
  for (const Mapping& mapping : maps) {
    if (mapping.path != "[vdso]") continue;
    auto address = findSyscall(memory, mapping.start, mapping.end);
    CHECK(address.ok() && *address >= mapping.start && *address < mapping.end);
    image.resize(mapping.end - mapping.start);
    CHECK(memory.read(mapping.start, image).ok());
    if (!address.ok()) return;
    CHECK(std::memcmp(reinterpret_cast<const void*>(*address), "\x0f\x05", 2) == 0);
  }
  CHECK(!image.empty());
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> damaged(image.begin(), image.begin() + long(random() % image.size()));
    for (int i = 0; i < 8 && !damaged.empty(); ++i) damaged[random() % std::min<size_t>(damaged.size(), 96)] = std::byte(random());
    auto offset = findSyscall(damaged);
    CHECK(!offset.ok() || *offset + 1 < damaged.size());
  }
}

TEST(cpu_features_are_compared_by_name) {
  const auto host = cpuFeatures();
  CHECK(missingFeatures(host, host).empty());
  auto lesser = host;
  lesser[1] &= ~(1u << 26);  // every x86_64 has SSE2
  const auto missing = missingFeatures(host, lesser);
  CHECK(missing.size() == 1 && missing[0] == "sse2");
  CHECK(missingFeatures(lesser, host).empty());
  CHECK((cpuXcr0() & 3) == 3);
}

TEST(pages_are_found_part_by_part_and_far_apart) {
  constexpr uint64_t kSize = 1ull << 40, kMany = 20000, kPage = 4096;
  void* area = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(area != MAP_FAILED);
  if (area == MAP_FAILED) return;
  madvise(area, kSize, MADV_NOHUGEPAGE);
  const auto start = reinterpret_cast<uint64_t>(area), end = start + kSize;
  std::fill_n(static_cast<char*>(area), kMany * kPage, 'x');
  static_cast<char*>(area)[kSize - 1] = 'x';
  const auto map = PageMap::open(getpid());
  CHECK(map.ok());
  std::vector<PageRange> found;
  size_t steps = 0;
  for (uint64_t at = start; at < end; ++steps) {
    const auto next = map.value().somePrivatePages(at, end, found);
    CHECK(next.ok() && next.value() > at);
    if (!next.ok()) break;
    at = next.value();
  }
  CHECK(steps <= 4);  // a part is so many pages, not so much room
  CHECK(found.size() == 2 && found[0].start == start && found[0].end == start + kMany * kPage);
  CHECK(found.back().start == end - kPage && found.back().end == end);
  munmap(area, kSize);
}

TEST(connections_are_parsed) {
  const auto rows = parseInetTable(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n"
      "   1: 00000000000000000000000001000000:0050 00000000000000000000000001000000:C001 01 00000000:0000001F 00:00 00 0 0 0 1\n"
      "   2: 0100007F:XXXX 00000000:0000 0A broken\n   3: short");
  CHECK(rows.size() == 2);
  if (rows.size() != 2) return;
  CHECK(rows[0].local == std::string("\x7f\0\0\1", 4) && rows[0].localPort == 8080 && rows[0].state == 10 && rows[0].inode == 4711);
  CHECK(rows[1].local == std::string(15, '\0') + '\1' && rows[1].remotePort == 0xc001 && rows[1].unread == 31 && rows[1].inode == 0);
  CHECK(parseInetTable("").empty() && parseInetTable("heading").empty());
}

TEST(devices_of_mounts_are_parsed) {
  const std::string text =
      "21 1 0:19 / /proc rw - proc proc rw\n30 21 254:3 /a\\040b /mnt rw shared:1 - ext4 /dev/x rw\n31 x broken\n32 1 7";
  CHECK(deviceOfMount(text, 21) == 19 && deviceOfMount(text, 30) == (254u << 20 | 3));
  CHECK(deviceOfMount(text, 31) == 0 && deviceOfMount(text, 32) == 0 && deviceOfMount(text, 33) == 0 && deviceOfMount("", 1) == 0);
  struct stat info{};
  CHECK(::stat("/proc", &info) == 0 && isOnFileSystem("/proc", info.st_dev, kernelDevice(info.st_dev)));
  CHECK(!isOnFileSystem("/proc", info.st_dev, kernelDevice(info.st_dev) + 1));
}

TEST(shut_directions_are_told) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  struct stat info{};
  CHECK(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 && ::fstat(fd.get(), &info) == 0);
  ::shutdown(fd.get(), SHUT_WR);  // ENOTCONN, and is done nevertheless
  const auto told = readShutdowns(AF_INET, IPPROTO_UDP);
  CHECK(!told.ok() || (told.value().contains(info.st_ino) && told.value().at(info.st_ino) == 2));
  Shutdowns none;
  alignas(nlmsghdr) char damaged[64] = {};
  for (const uint32_t length : {0u, 8u, 17u, 40u, 64u, 65u, ~0u}) {
    std::memcpy(damaged, &length, sizeof length);
    for (size_t size = 0; size <= sizeof damaged; ++size) static_cast<void>(takeShutdowns({damaged, size}, none));
  }
  CHECK(none.empty());
}

/** The one of `id`; one without an identifier when there is none. */
static IpcObject withId(const std::vector<IpcObject>& objects, int id) {
  const auto found = std::find_if(objects.begin(), objects.end(), [id](const IpcObject& object) { return object.id == id; });
  return found == objects.end() ? IpcObject() : *found;
}

static bool areSame(const IpcObject& a, const IpcObject& b) {
  return a.key == b.key && a.id == b.id && a.mode == b.mode && a.size == b.size && a.attached == b.attached && a.first == b.first &&
         a.second == b.second && a.firstTime == b.firstTime && a.secondTime == b.secondTime && a.changed == b.changed && a.uid == b.uid &&
         a.gid == b.gid && a.creatorUid == b.creatorUid;
}

/** What the kernel tells of System V objects one by one is what its table has. */
TEST(system_v_objects_are_found) {
  const key_t key = 0x51000000 | (getpid() & 0xffffff);
  const int segment = shmget(key, 9000, IPC_CREAT | 0640), set = semget(key, 3, IPC_CREAT | 0604), queue = msgget(key, IPC_CREAT | 0620);
  void* attached = shmat(segment, nullptr, 0);
  sembuf up{1, 1, 0};
  const long message[2] = {7, 1};
  CHECK(semop(set, &up, 1) == 0 && msgsnd(queue, message, 5, 0) == 0 && shmctl(segment, IPC_RMID, nullptr) == 0);
  const std::pair<IpcKind, int> all[] = {{IpcKind::kSegment, segment}, {IpcKind::kSemaphores, set}, {IpcKind::kQueue, queue}};
  for (const auto& [kind, id] : all) {
    const IpcObject asked = withId(askIpcObjects(kind), id), read = withId(readIpcTable(kind), id);
    CHECK(id >= 0 && read.id == id && areSame(read, withId(findIpcObjects(kind), id)));
    CHECK(areSame(asked, read) || asked.id == -1);  // before Linux 4.17
    CHECK(read.uid == geteuid() && read.lastTime() > 0 &&
          read.size == (kind == IpcKind::kSegment ? 9000u
                        : kind == IpcKind::kQueue ? 5u
                                                  : 3u));
  }
  CHECK(withId(readIpcTable(IpcKind::kSegment), segment).attached == 1 && withId(readIpcTable(IpcKind::kQueue), queue).first == getpid());
  CHECK(semctl(set, 0, IPC_RMID) == 0 && msgctl(queue, IPC_RMID, nullptr) == 0 && shmdt(attached) == 0);
  for (const auto& [kind, id] : all) CHECK(withId(findIpcObjects(kind), id).id == -1);
}

TEST(multicast_groups_are_parsed) {
  const auto groups = parseIgmp(
      "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     2      V3\n"
      "\t\t\t\t010000E0     1 0:00000000\t\t0\n\t\t\t\tXYZ\n");
  CHECK(groups.size() == 1 && groups[0].interface == 1 && groups[0].address == std::string("\xe0\0\0\1", 4));
  const auto wide = parseIgmp6("4    eth0            ff020000000000000000000000000001     1 0000000C 0\n5 x ff02\nbroken");
  CHECK(wide.size() == 1 && wide[0].interface == 4 && wide[0].address.size() == 16 && wide[0].address[15] == 1);
}

CHECK_MAIN
