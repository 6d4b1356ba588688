// The kernel's text files about a process. The first byte of an input chooses the parser.
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "proc/fdinfo.h"
#include "proc/maps.h"
#include "proc/status.h"
#include "proc/system_v.h"
#include "target.h"

using namespace blcr;

namespace {

std::string readText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
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
        "pos:\t0\nflags:\t04002\nmnt_id:\t9\nino:\t7\nsigmask:\t0000000000000200\n"})
    seeds.push_back(std::string("f") + kind);
  seeds.push_back(
      "q       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
      "         -7          2   600           5          1  4711     0  1000  1000  1000  1000 1764219000          0 1764218000\n");
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
    default:
      (void)parseFdInfo(text);
      break;
  }
  return 0;
}
