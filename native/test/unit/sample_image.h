// An Image in which every kind of member occurs, for the tests of the format.
#pragma once

#include <sys/user.h>

#include "image/model.h"

inline blcr::image::Task sampleTask(int32_t tid) {
  blcr::image::Task task;
  task.tid = tid;
  task.comm = "worker";
  task.regs = std::string(sizeof(user_regs_struct), 'r');
  task.xstate = std::string(2696, 'x');
  task.sigmask = 0x1234;
  task.pending.push_back({std::string(128, 's')});
  task.affinity = std::string(8, '\3');
  task.noNewPrivileges = true;
  task.memoryPolicy = 2;
  task.ownDirectory = "/tmp";
  task.memoryNodes = std::string(128, '\1');
  return task;
}

inline blcr::image::Process sampleProcess(int32_t pid, int32_t ppid) {
  using namespace blcr::image;
  Process process;
  process.pid = pid;
  process.ppid = ppid;
  process.pgid = process.sid = 100;
  process.comm = "program";
  process.cwd = "/tmp";
  process.actions.resize(64);
  process.limits.resize(16);
  process.tasks.push_back(sampleTask(pid));
  process.tasks.push_back(sampleTask(pid + 1));
  process.memory.areas.push_back(
      {.start = 0x400000, .end = 0x401000, .protection = 5, .kind = AreaKind::kFile, .shared = false, .flags = 0, .file = 0, .offset = 0});
  process.memory.areas.push_back({.start = 0x500000, .end = 0x600000, .protection = 3, .kind = AreaKind::kAnonymous});
  process.memory.areas.push_back(
      {.start = 0x700000, .end = 0x702000, .protection = 3, .kind = AreaKind::kShared, .shared = true, .file = 0});
  process.memory.guards = {{0x500000, 0x501000}};
  process.memory.policies = {{{0x500000, 0x502000}, 2, std::string(128, '\1')}};
  process.memory.exe = 0;
  process.memory.auxv = std::string(320, 'a');
  process.descriptors = {{0, 0, false}, {3, 1, true}, {4, 2, false}, {5, 3, false}, {6, 4, false}};
  process.posixTimers.push_back({.id = 0, .clock = 1, .notify = 0, .signal = 34});
  return process;
}

inline blcr::image::Image sampleImage() {
  using namespace blcr::image;
  Image image;
  image.host.kernel = "6.1.0";
  image.host.machine = "x86_64";
  image.host.cpuid = {1, 2, 3};
  image.root = 100;
  image.keeper = 99;
  image.processes.push_back(sampleProcess(100, 0));
  image.processes.push_back(sampleProcess(110, 100));
  Process zombie;
  zombie.pid = 120;
  zombie.ppid = 110;
  zombie.state = ProcessState::kZombie;
  zombie.exitStatus = 256;
  image.processes.push_back(zombie);
  image.mapped.push_back({.path = "/bin/true", .size = 4096, .identity = "size"});
  image.shared.push_back({.size = 8192,
                          .name = "segment",
                          .memfd = true,
                          .seals = 0,
                          .mode = 0600,
                          .path = "",
                          .ipc = {},
                          .attributes = {},
                          .fileOwner = {7, 8}});
  image.shared.push_back({.size = 100,
                          .name = "",
                          .memfd = false,
                          .seals = 0,
                          .mode = 0,
                          .path = "",
                          .ipc = {.id = 0, .key = -3},
                          .attributes = {},
                          .fileOwner = {7, 8}});
  image.semaphores.push_back({.name = {.id = 3, .key = 7},
                              .values = {1, 32767},
                              .undo = {{.pid = 100, .number = 1, .adjustment = -5}},
                              .users = {0, 100},
                              .isUsed = true});
  image.queues.push_back({.name = {.id = 4, .key = 0}, .capacity = 16384, .messages = {{.type = 1, .text = "message"}}});
  image.terminals.push_back({.number = 3,
                             .modes = std::string(44, 'm'),
                             .size = std::string(8, 's'),
                             .fileOwner = {9, 4},
                             .lines = {"line\n"},
                             .input = "unfin",
                             .output = "out"});
  image.files.resize(6);
  image.files[0].kind = FileKind::kInherited;
  image.files[0].inherited = 0;
  image.files[1].kind = FileKind::kPipe;
  image.files[1].object = 0;
  image.files[2].kind = FileKind::kUnlinked;
  image.files[2].blob = 0;
  image.files[2].attributes = {{"user.name", "value"}};
  image.files[3].kind = FileKind::kEpoll;
  image.files[3].epoll.push_back({.fd = 3, .file = 1, .events = 1, .data = 42});
  image.files[4].kind = FileKind::kSocket;
  image.files[4].object = 0;
  image.files[5].kind = FileKind::kRing;
  image.files[5].object = 0;
  image.rings.push_back(
      {.entries = 8, .completions = 16, .flags = 1u << 16, .layout = {0, 4}, .count = 77, .queues = "queues", .calls = "calls"});
  image.pipes.push_back({.capacity = 65536, .content = "queued", .packets = false, .packetLengths = {2, 4}});
  Socket& socket = image.sockets.emplace_back();
  socket.domain = 1;
  socket.type = 2;
  socket.options.push_back({1, 2, "value"});
  socket.queue.resize(2);
  socket.queue[0].data.assign("first");
  socket.queue[1].data.assign("second");
  socket.queue[1].files = {1};
  image.blobs.push_back({.size = 100000});
  image.inheritedPath[1] = "/tmp/out";
  return image;
}
