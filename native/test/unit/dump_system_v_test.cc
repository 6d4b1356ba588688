// System V objects that are not the job's alone: left out, refused by name, or told apart from the job's.
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base/codes.h"
#include "base/io.h"
#include "dump_harness.h"
#include "proc/status.h"
#include "proc/system_v.h"

using namespace harness;

namespace {

/** semop(3) is one of two calls, as the C library likes. */
void awaitCall(pid_t pid, std::initializer_list<long> calls) {
  const std::string path = "/proc/" + std::to_string(pid) + "/syscall";
  const auto isIn = [&](long call) {
    const auto text = readFile(path);
    return text.ok() && text.value().starts_with(std::to_string(call) + " ");
  };
  while (std::none_of(calls.begin(), calls.end(), isIn)) sleepUs(1000);
}

/** A restarted job has an IPC namespace of its own: others would not be there. */
TEST(system_v_objects_of_others) {
  const int segment = shmget(IPC_PRIVATE, 8192, 0600), theirs = shmget(IPC_PRIVATE, 8192, 0600), set = semget(IPC_PRIVATE, 1, 0600);
  void* const own = shmat(theirs, nullptr, 0);
  CHECK(segment >= 0 && set >= 0 && own != reinterpret_cast<void*>(-1) && madvise(own, 8192, MADV_DONTFORK) == 0);
  const auto attaching = [](int id) {
    return [id](const auto& ready) { return shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1) ? 1 : (ready(), pauseForever()); };
  };
  const Victim alone(attaching(segment)), sharing(attaching(theirs));
  CHECK(dump(alone.pid(), Snapshot::kFork).good);
  const Dumped shared = dump(sharing.pid(), Snapshot::kFork);
  CHECK(!shared.good && shared.error.code == kErrorNoSupport);
  CHECK(shared.error.detail == "System V shared memory " + std::to_string(theirs) + " is used by the job and by a process outside the job");
  sembuf up{0, 1, 0};
  CHECK(semop(set, &up, 1) == 0);
  const Victim neither([](const auto& ready) { return ready(), pauseForever(); });
  const Dumped without = dump(neither.pid(), Snapshot::kFork);
  const auto isIt = [set](const image::SemaphoreSet& each) { return each.name.id == set; };
  const auto& sets = without.image.semaphores;
  CHECK(without.good && std::none_of(sets.begin(), sets.end(), isIt));
  for (const int id : {segment, theirs}) shmctl(id, IPC_RMID, nullptr);
  CHECK(shmdt(own) == 0 && semctl(set, 0, IPC_RMID) == 0);
}

/** Nothing but the call that it is in tells that the job uses what others have made and used last. */
TEST(system_v_objects_of_others_that_are_waited_for) {
  struct Message {
    long type;
    char text;
  } message{7, 'x'};
  const int set = semget(IPC_PRIVATE, 1, 0600), queue = msgget(IPC_PRIVATE, 0600);
  CHECK(set >= 0 && queue >= 0 && semctl(set, 0, SETVAL, 0) == 0 && msgsnd(queue, &message, 1, 0) == 0);
  const auto refusal = [](const std::string& object, std::initializer_list<long> calls, const auto& wait) {
    const Victim victim([&](const auto& ready) { return ready(), wait(); });
    awaitCall(victim.pid(), calls);
    const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
    CHECK(!dumped.good && dumped.error.detail == object + " is used by the job and by a process outside the job");
  };
  sembuf take{0, -1, 0};
  refusal(nameOf(IpcKind::kSemaphores, set), {SYS_semop, SYS_semtimedop}, [&] { return semop(set, &take, 1); });
  refusal(nameOf(IpcKind::kQueue, queue), {SYS_msgrcv}, [&] { return int(msgrcv(queue, &message, 1, 8, 0)); });
  CHECK(semctl(set, 0, IPC_RMID) == 0 && msgctl(queue, IPC_RMID, nullptr) == 0);
}

/** Left behind by somebody who has ended: whose it is cannot be told. */
int segmentOfNobody() {
  int* const id = static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t maker = fork();
  if (maker == 0) {
    *id = shmget(IPC_PRIVATE, 8192, 0600);
    static_cast<char*>(shmat(*id, nullptr, 0))[0] = 'x';
    _exit(0);
  }
  waitpid(maker, nullptr, 0);
  const int made = *id;
  munmap(id, 4096);
  return made;
}

std::function<int(const std::function<void()>&)> attaching(int id) {
  return [id](const auto& ready) { return shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1) ? 1 : (ready(), pauseForever()); };
}

TEST(a_checkpoint_that_is_being_written_is_not_in_the_way_of_another) {
  const int id = segmentOfNobody();
  const Victim user(attaching(id)), other([](const auto& ready) { return ready(), pauseForever(); });
  int pipe[2];
  CHECK(id >= 0 && pipe2(pipe, O_CLOEXEC) == 0 && fcntl(pipe[1], F_SETPIPE_SZ, 4096) > 0);
  Log log;
  DumpRequest request;
  request.target = other.pid();
  request.outputFd = pipe[1];
  request.snapshot = Snapshot::kFork;
  auto unread = Dump::create(request, log);
  CHECK(unread->start().ok());
  CHECK(dump(user.pid(), Snapshot::kFork).verified);
  unread->cancel();
  CHECK(!unread->finish().ok());
  close(pipe[0]), close(pipe[1]);
  shmctl(id, IPC_RMID, nullptr);
}

TEST(who_looks_at_shared_memory_for_a_moment_is_waited_for) {
  const int id = shmget(IPC_PRIVATE, 8192, 0600);
  const Victim user(attaching(id));
  const Victim looking([id, target = user.pid()](const auto& ready) {
    const void* const at = shmat(id, nullptr, SHM_RDONLY);
    ready();
    while (readStat(target) && readStat(target).value().state != 't') sleepUs(200);
    sleepUs(10000);  // it has been seen by now, or will not be
    return shmdt(at) == 0 ? pauseForever() : 1;
  });
  CHECK(dump(user.pid(), Snapshot::kFork).verified);
  shmctl(id, IPC_RMID, nullptr);
}

bool change(int set, unsigned short number, int by, int flags = 0) {
  sembuf operation{number, short(by), short(flags)};
  return semop(set, &operation, 1) == 0;
}

/** Owes a set of others' one unit of one of its semaphores, one way or the other. */
Victim::Body owing(int set, unsigned short number, int adjustment) {
  return [=](const auto& ready) { return change(set, number, -adjustment, SEM_UNDO) ? (ready(), pauseForever()) : 1; };
}

constexpr unsigned short kOldValues[] = {3, 5, 30000};

/** Made and set long before the job began, by somebody who has ended. */
int oldSet() {
  const int set = semget(IPC_PRIVATE, 3, 0600);
  const pid_t other = fork();
  if (other == 0) _exit(semctl(set, 0, SETALL, kOldValues) == 0 ? 0 : 1);
  int status = 1;
  CHECK(set >= 0 && waitpid(other, &status, 0) == other && status == 0);
  sleepUs(4'100'000);  // times are told in seconds, and of two clocks
  return set;
}

TEST(what_the_job_owes_to_an_old_set) {
  const int set = oldSet();
  const Victim victim(owing(set, 1, 1));
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  const auto& sets = dumped.image.semaphores;
  const auto found = std::find_if(sets.begin(), sets.end(), [set](const auto& each) { return each.name.id == set; });
  const bool isRecorded = dumped.verified && found != sets.end() && found->undo.size() == 1;
  CHECK(isRecorded && found->values == std::vector<uint16_t>({3, 4, 30000}));
  CHECK(isRecorded && found->undo[0].pid == victim.pid() && found->undo[0].number == 1 && found->undo[0].adjustment == 1);
  CHECK(semctl(set, 0, IPC_RMID) == 0);
}

/** Nothing else tells that the job uses it. */
TEST(what_the_job_owes_to_a_set_that_others_used_last) {
  const int set = oldSet();
  for (const unsigned short number : {uint16_t(1), uint16_t(2)}) {
    for (const int adjustment : {1, -1}) {
      const Victim victim(owing(set, number, adjustment)), neither([](const auto& ready) { return ready(), pauseForever(); });
      for (unsigned short each = 0; each < 3; ++each) CHECK(change(set, each, 1) && change(set, each, -1));
      const Dumped shared = dump(victim.pid(), Snapshot::kFork);
      CHECK(!shared.good && shared.error.code == kErrorNoSupport);
      CHECK(shared.error.detail == nameOf(IpcKind::kSemaphores, set) + " is used by the job and by a process outside the job");
      CHECK(dump(neither.pid(), Snapshot::kFork).verified && semctl(set, number, GETVAL) == kOldValues[number] - adjustment);
    }
  }
  CHECK(semctl(set, 0, IPC_RMID) == 0);
}

}  // namespace

CHECK_MAIN
