// The kernel's text files about a process, and its answers about sockets. The first byte of an input chooses the parser.
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "proc/fdinfo.h"
#include "proc/file_system.h"
#include "proc/inet_diag.h"
#include "proc/inet_table.h"
#include "proc/maps.h"
#include "proc/multicast.h"
#include "proc/population.h"
#include "proc/ring_info.h"
#include "proc/status.h"
#include "proc/system_v.h"
#include "target.h"

using namespace blcr;

namespace {

std::string readText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/** One socket with both directions shut, then one without an attribute. */
std::string diagAnswer() {
  struct {
    nlmsghdr header{sizeof(nlmsghdr) + sizeof(inet_diag_msg) + 8, 20, 2, 1, 0};
    inet_diag_msg socket{};
    nlattr shutdown{5, INET_DIAG_SHUTDOWN};
    uint8_t value[4]{3, 0, 0, 0};
    nlmsghdr second{sizeof(nlmsghdr) + sizeof(inet_diag_msg), 20, 2, 1, 0};
    inet_diag_msg bare{};
  } answer;
  answer.socket.idiag_inode = 77;
  return {reinterpret_cast<const char*>(&answer), sizeof answer};
}

/** As recv() fills it: aligned, and with no byte behind the answer that a reader might touch unseen. */
void readDiag(std::string_view answer) {
  const std::unique_ptr<char[]> copy(new char[answer.size()]);
  std::memcpy(copy.get(), answer.data(), answer.size());
  Shutdowns shutdowns;
  (void)takeShutdowns({copy.get(), answer.size()}, shutdowns);
}

/** The number of the mount that is looked for is the input's first. */
void findMount(std::string_view text) {
  uint64_t id = 0;
  std::memcpy(&id, text.data(), std::min<size_t>(text.size(), 1));
  (void)deviceOfMount(text, id);
  (void)deviceOfMount(text, 27);
}

}  // namespace

std::vector<std::string> fuzzSeeds() {
  const std::string self = "/proc/self/";
  std::vector<std::string> seeds = {"m" + readText(self + "maps").substr(0, 4000), "v" + readText(self + "smaps").substr(0, 6000),
                                    "s" + readText(self + "stat"), "u" + readText(self + "status")};
  for (const char* kind :
       {"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t7\ntfd:        3 events:       19 data:                3  pos:0 ino:2 sdev:d\n",
        "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t7\neventfd-count:                1\neventfd-id: 4\neventfd-semaphore: 1\n",
        "pos:\t12\nflags:\t0100001\nmnt_id:\t15\nino:\t7\nlock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF\n",
        "pos:\t0\nflags:\t04002\nmnt_id:\t9\nino:\t7\nclockid: 0\nticks: 0\nsettime flags: 01\nit_value: (0, 49406829)\nit_interval: (1, "
        "0)\n",
        "pos:\t0\nSqMask:\t0x7\nSqHead:\t3\nSQEs:\t1\n    0: opcode:NOP, user_data:0, e0:0x0\nSqThread:\t-1\nUserFiles:\t0\nPollList:\n",
        "pos:\t0\nflags:\t04002\nmnt_id:\t9\nino:\t7\nsigmask:\t0000000000000200\n"})
    seeds.push_back(std::string("f") + kind);
  seeds.push_back(
      "q       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
      "         -7          2   600           5          1  4711     0  1000  1000  1000  1000 1764219000          0 1764218000\n");
  seeds.push_back(
      "t  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 0200007F:C350 01 00000000:00000007 00:00000000 00000000  1000        0 4242 1 0 20 4 30 10 -1\n"
      "   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 99\n");
  seeds.push_back(
      "g"
      "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:0\t\t0\n");
  seeds.push_back("G1    lo              ff020000000000000000000000000001     1 0000000C 0\n");
  seeds.push_back("i27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n28 27 0:25 / /dev/shm rw - tmpfs tmpfs rw\n");
  seeds.push_back("pcpu 1 2 3\nctxt 99\nprocesses 4711\nprocs_running 1\n0.10 0.20 0.30 2/180 4711\n");
  seeds.push_back("d" + diagAnswer());
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm':
      (void)parseMaps(text);
      break;
    case 'v':
      (void)parseVmFlags(text);
      (void)parsePopulated(text);
      break;
    case 's':
      (void)parseStat(text);
      break;
    case 'u':
      (void)parseStatus(text);
      break;
    case 'q':
      for (const IpcKind kind : {IpcKind::kSegment, IpcKind::kSemaphores, IpcKind::kQueue}) (void)parseIpcTable(kind, text);
      break;
    case 't':
      (void)parseInetTable(text);
      break;
    case 'g':
      (void)parseIgmp(text);
      break;
    case 'G':
      (void)parseIgmp6(text);
      break;
    case 'i':
      findMount(text);
      break;
    case 'p':
      (void)parsePopulation(text, text);
      break;
    case 'd':
      readDiag(text);
      break;
    default:
      (void)parseFdInfo(text);
      (void)parseRingInfo(text);
      break;
  }
  return 0;
}
