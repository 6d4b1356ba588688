// System V IPC: the objects outlive the processes that made them.
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#include "holds.h"

namespace holds {
namespace {

/** Several victims run at once, and all of them in the host's namespace at first, where others may have left something behind. */
key_t keyOf(int kind) {
  static const auto own = [] {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned(now.tv_nsec) ^ unsigned(getpid()) << 8) & 0xffffff;
  }();
  return key_t(0x40000000u + (unsigned(kind) << 24) + own);
}

/** The kill leaves them on the host, where the next life must not need them: "-m 1 -s 2". */
void removedMeanwhile(const std::string& objects) { meanwhile(("ipcrm " + objects + "\n").c_str()); }

std::string option(char kind, int id) { return std::string(" -") + kind + " " + std::to_string(id); }

char* attach(int id, int flags = 0) {
  void* at = shmat(id, nullptr, flags);
  REQUIRE(at != reinterpret_cast<void*>(-1));
  return static_cast<char*>(at);
}

void sharedMemory() {
  const int id = shmget(keyOf(1), 10000, IPC_CREAT | IPC_EXCL | 0640), gone = shmget(IPC_PRIVATE, 4096, 0600);
  const int idle = shmget(IPC_PRIVATE, 5 << 20, 0600);  // attached by nobody
  REQUIRE(id >= 0 && gone >= 0 && idle >= 0);
  char *memory = attach(id), *nameless = attach(gone), *once = attach(idle);
  const char* second = attach(id, SHM_RDONLY);
  REQUIRE(shmctl(gone, IPC_RMID, nullptr) == 0);
  strcpy(memory + 9000, "system five"), strcpy(nameless, "removed"), strcpy(once + (4 << 20), "idle");
  REQUIRE(shmdt(once) == 0);
  const pid_t child = spawn([&] {
    until([&] { return memory[0] == 'g'; });
    memory[1] = 'o';
  });
  removedMeanwhile(option('m', id) + option('m', idle));
  hold();
  REQUIRE(strcmp(second + 9000, "system five") == 0 && strcmp(nameless, "removed") == 0 && shmget(keyOf(1), 0, 0) == id);
  shmid_ds info{};
  REQUIRE(shmctl(id, IPC_STAT, &info) == 0 && info.shm_segsz == 10000 && (info.shm_perm.mode & 0777) == 0640 && info.shm_nattch == 4);
  REQUIRE(mprotect(const_cast<char*>(second), 4096, PROT_READ | PROT_WRITE) == -1);
  memory[0] = 'g';
  REQUIRE(endsWell(child) && memory[1] == 'o');
  once = attach(idle);
  REQUIRE(strcmp(once + (4 << 20), "idle") == 0 && once[0] == 0 && shmdt(memory) == 0);
  for (const int each : {id, idle}) REQUIRE(shmctl(each, IPC_RMID, nullptr) == 0);
  REQUIRE(shmdt(nameless) == 0 && shmctl(gone, IPC_STAT, &info) == -1);
}

/** Parts of a segment: unmapped in the middle, protected, moved. */
void partsOfSegment() {
  constexpr size_t kPage = 4096;
  const int id = shmget(IPC_PRIVATE, 8 * kPage, 0600);
  char *memory = attach(id), *whole = attach(id);
  for (size_t page = 0; page < 8; ++page) memory[page * kPage] = char('a' + page);
  REQUIRE(munmap(memory + 2 * kPage, 2 * kPage) == 0 && mprotect(memory + 5 * kPage, kPage, PROT_NONE) == 0);
  char* place = static_cast<char*>(mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(mremap(memory + 7 * kPage, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
  removedMeanwhile(option('m', id));
  hold();
  REQUIRE(memory[0] == 'a' && memory[4 * kPage] == 'e' && place[0] == 'h' && whole[2 * kPage] == 'c');
  REQUIRE(mprotect(memory + 5 * kPage, kPage, PROT_READ | PROT_WRITE) == 0 && memory[5 * kPage] == 'f');
  whole[7 * kPage] = '!';
  REQUIRE(place[0] == '!' && shmctl(id, IPC_RMID, nullptr) == 0);
}

void semaphores() {
  const int id = semget(keyOf(2), 3, IPC_CREAT | IPC_EXCL | 0600);
  unsigned short values[] = {5, 0, 32767};
  REQUIRE(id >= 0 && semctl(id, 0, SETALL, values) == 0);
  const pid_t waiter = spawn([&] {
    sembuf down{1, -1, 0};
    REQUIRE(semop(id, &down, 1) == 0);
  });
  until([&] { return semctl(id, 1, GETNCNT) == 1; });
  removedMeanwhile(option('s', id));
  hold();
  unsigned short now[3];
  REQUIRE(semget(keyOf(2), 0, 0) == id && semctl(id, 0, GETALL, now) == 0 && memcmp(now, values, sizeof now) == 0);
  sembuf up{1, 1, 0};
  REQUIRE(semop(id, &up, 1) == 0 && endsWell(waiter) && semctl(id, 0, IPC_RMID) == 0);
}

/** Programs tell by the date whether whoever made a set has set it up. */
void semaphoreUsers() {
  const int id = semget(IPC_PRIVATE, 3, 0600), unused = semget(IPC_PRIVATE, 1, 0600);
  unsigned short values[] = {5, 0, 32767};
  REQUIRE(id >= 0 && unused >= 0 && semctl(id, 0, SETALL, values) == 0);
  Pipe done, go;
  const pid_t child = spawn([&] {
    sembuf changes[] = {{1, 1, 0}, {2, -1, 0}};
    REQUIRE(semop(id, changes, 2) == 0 && put(done.write, "x") == 0);
    take(go.read, 1);
  });
  REQUIRE(take(done.read, 1) == "x");
  sembuf down{0, -1, 0};
  REQUIRE(semop(id, &down, 1) == 0);
  removedMeanwhile(option('s', id) + option('s', unused));
  hold();
  semid_ds info{};
  REQUIRE(semctl(unused, 0, IPC_STAT, &info) == 0 && info.sem_otime == 0);
  REQUIRE(semctl(id, 0, IPC_STAT, &info) == 0 && info.sem_otime != 0);
  REQUIRE(semctl(id, 0, GETPID) == getpid() && semctl(id, 1, GETPID) == child && semctl(id, 2, GETPID) == child);
  REQUIRE(semctl(id, 0, GETVAL) == 4 && semctl(id, 1, GETVAL) == 1 && semctl(id, 2, GETVAL) == 32766);
  REQUIRE(put(go.write, "x") == 0 && endsWell(child) && semctl(id, 0, IPC_RMID) == 0 && semctl(unused, 0, IPC_RMID) == 0);
}

/** What processes changed with SEM_UNDO is undone when they end, a thread of theirs among them. */
void semaphoreUndo() {
  const int id = semget(IPC_PRIVATE, 4, 0600);
  unsigned short values[] = {9, 3, 0, 30000};
  REQUIRE(id >= 0 && semctl(id, 0, SETALL, values) == 0);
  int go[2], done[2];
  REQUIRE(pipe(go) == 0 && pipe(done) == 0);
  const pid_t child = spawn([&] {
    pthread_t thread;
    const auto take3 = [](void* set) -> void* {
      sembuf down{0, -3, SEM_UNDO};
      return reinterpret_cast<void*>(long(semop(*static_cast<const int*>(set), &down, 1)));
    };
    int which = id;
    REQUIRE(pthread_create(&thread, nullptr, take3, &which) == 0 && pthread_join(thread, nullptr) == 0);
    sembuf changes[] = {{1, -1, SEM_UNDO}, {2, 1, SEM_UNDO}, {3, -29000, SEM_UNDO}};
    REQUIRE(semop(id, changes, 3) == 0 && put(done[1], "x") == 0);
    take(go[0], 1);
  });
  sembuf own{0, -2, SEM_UNDO};
  REQUIRE(take(done[0], 1) == "x" && semop(id, &own, 1) == 0);
  removedMeanwhile(option('s', id));
  hold();
  const auto is = [id](int a, int b, int c, int d) {
    unsigned short now[4];
    return semctl(id, 0, GETALL, now) == 0 && now[0] == a && now[1] == b && now[2] == c && now[3] == d;
  };
  REQUIRE(is(4, 2, 1, 1000));
  REQUIRE(put(go[1], "x") == 0 && endsWell(child) && is(7, 3, 0, 30000));
  REQUIRE(semctl(id, 0, IPC_RMID) == 0);
}

struct Message {
  long type;
  char text[16];
};

void messages() {
  const int id = msgget(keyOf(3), IPC_CREAT | IPC_EXCL | 0600);
  const Message first{7, "first"}, second{3, "second"}, third{7, ""};
  REQUIRE(id >= 0 && msgsnd(id, &first, 5, 0) == 0 && msgsnd(id, &second, 16, 0) == 0 && msgsnd(id, &third, 0, 0) == 0);
  removedMeanwhile(option('q', id));
  hold();
  Message got{};
  REQUIRE(msgget(keyOf(3), 0) == id && msgrcv(id, &got, 16, 7, 0) == 5 && memcmp(got.text, "first", 5) == 0);
  REQUIRE(msgrcv(id, &got, 16, 0, 0) == 16 && got.type == 3 && msgrcv(id, &got, 16, 0, 0) == 0 && got.type == 7);
  REQUIRE(msgctl(id, IPC_RMID, nullptr) == 0);
}

/** Whoever made and filled them has ended. */
void leftBehind() {
  int told[2], ids[3];
  REQUIRE(pipe(told) == 0);
  const pid_t maker = spawn([&] {
    const int made[] = {shmget(IPC_PRIVATE, 4096, 0600), semget(IPC_PRIVATE, 1, 0600), msgget(IPC_PRIVATE, 0600)};
    const Message message{1, "left"};
    sembuf up{0, 4, 0};
    strcpy(attach(made[0]), "left behind");
    REQUIRE(semop(made[1], &up, 1) == 0 && msgsnd(made[2], &message, 5, 0) == 0);
    REQUIRE(write(told[1], made, sizeof made) == sizeof made);
  });
  REQUIRE(endsWell(maker) && read(told[0], ids, sizeof ids) == sizeof ids);
  removedMeanwhile(option('m', ids[0]) + option('s', ids[1]) + option('q', ids[2]));
  hold();
  Message got{};
  REQUIRE(strcmp(attach(ids[0]), "left behind") == 0 && semctl(ids[1], 0, GETVAL) == 4 && msgrcv(ids[2], &got, 16, 1, IPC_NOWAIT) == 5);
  REQUIRE(shmctl(ids[0], IPC_RMID, nullptr) == 0 && semctl(ids[1], 0, IPC_RMID) == 0 && msgctl(ids[2], IPC_RMID, nullptr) == 0);
}

void mutexInSegment() {
  struct Both {
    pthread_mutex_t mutex;
    int value;
  };
  const int id = shmget(IPC_PRIVATE, sizeof(Both), 0600);
  auto* both = reinterpret_cast<Both*>(attach(id));
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&both->mutex, &kind);
  pthread_mutex_lock(&both->mutex);
  const pid_t child = spawn([&] {
    pthread_mutex_lock(&both->mutex);
    both->value = 5;
    pthread_mutex_unlock(&both->mutex);
  });
  removedMeanwhile(option('m', id));
  hold();
  pthread_mutex_unlock(&both->mutex);
  REQUIRE(endsWell(child) && both->value == 5 && shmctl(id, IPC_RMID, nullptr) == 0);
}

const Case kShm(Supported{"systemVMemory", "memory", "System V shared memory: numbers, keys, contents; removed; attached by nobody",
                          "restored"},
                sharedMemory);
const Case kParts(Supported{"systemVParts", "memory", "System V shared memory of which parts are unmapped, protected or moved", "restored"},
                  partsOfSegment);
const Case kMutex(Supported{"systemVMutex", "memory", "mutexes in System V shared memory", "restored"}, mutexInSegment);
const Case kUsers(Supported{"semaphoreUsers", "tasks",
                            "System V semaphores: the last user of each (GETPID), whether the set was used (sem_otime)", "restored"},
                  semaphoreUsers);
const Case kSem(Supported{"systemVSemaphores", "tasks", "System V semaphores, with processes that wait", "restored"}, semaphores);
const Case kUndo(Supported{"systemVUndo", "tasks", "System V semaphores: what is undone at the end of a process (SEM_UNDO)", "restored"},
                 semaphoreUndo);
const Case kMsg(Supported{"systemVMessages", "tasks", "System V message queues with messages", "restored"}, messages);
const Case kLeft(Supported{"systemVLeft", "tasks", "System V objects whose makers have ended", "restored"}, leftBehind);

}  // namespace
}  // namespace holds
