// Regular files, directories, FIFOs, and files without a name.
#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <fstream>

#include "holds.h"

namespace holds {
namespace {

int make(const char* path, const std::string& content, int flags = O_RDWR) {
  const int fd = open(path, flags | O_CREAT, 0600);
  REQUIRE(fd >= 0 && put(fd, content) == 0);
  return fd;
}

void grown() {
  const int fd = make("log", "0123456789", O_RDWR | O_APPEND), reader = open("log", O_RDONLY);
  REQUIRE(lseek(reader, 4, SEEK_SET) == 4);
  meanwhile("printf 'written by a run that was lost' >> log");
  hold();
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0 && info.st_size == 10);
  REQUIRE(put(fd, "ab") == 0 && take(reader) == "456789ab");
}

void unlinkedFile() {
  const int fd = make("gone", std::string(70000, 'g')), hole = make("holey", "x"), empty = make("empty", "");
  REQUIRE(pwrite(hole, "end", 3, 50ll << 20) == 3 && lseek(fd, 5, SEEK_SET) == 5);
  const int second = open("gone", O_RDONLY), appending = open("gone", O_WRONLY | O_APPEND);
  const timespec times[] = {{1000, 0}, {1234567, 890000000}};
  REQUIRE(fchmod(empty, 02511) == 0 && futimens(hole, times) == 0);
  REQUIRE(unlink("gone") == 0 && unlink("holey") == 0 && unlink("empty") == 0);
  hold();
  struct stat info{};
  REQUIRE(put(appending, "!") == 0 && fstat(fd, &info) == 0 && info.st_size == 70001 && info.st_nlink == 0 &&
          (info.st_mode & 0777) == 0600);
  REQUIRE(fstat(empty, &info) == 0 && (info.st_mode & 07777) == 02511);
  REQUIRE(fstat(hole, &info) == 0 && info.st_mtim.tv_sec == 1234567 && info.st_mtim.tv_nsec == 890000000);
  REQUIRE(take(fd, 3) == "ggg" && lseek(second, 70000, SEEK_SET) == 70000 && take(second) == "!");
  REQUIRE(fstat(hole, &info) == 0 && info.st_size == (50ll << 20) + 3 && info.st_blocks * 512 < (10 << 20));
  char end[3];
  REQUIRE(pread(hole, end, 3, 50ll << 20) == 3 && memcmp(end, "end", 3) == 0 && put(empty, "now") == 0);
}

/** Blocks and holes by turns, also where each is a single block, and farther out than anybody would copy. */
void holes() {
  constexpr off_t kFar = 5ll << 30;
  const int fd = make("sieve", "");
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0);
  const off_t block = info.st_blksize;
  const std::string content(size_t(block), 'b');
  for (int i = 1; i < 64; i += 2) REQUIRE(pwrite(fd, content.data(), content.size(), i * block) == block);
  REQUIRE(pwrite(fd, content.data(), content.size(), kFar) == block && ftruncate(fd, 2 * kFar) == 0 && unlink("sieve") == 0);
  if (lseek(fd, 0, SEEK_DATA) != block) notHere();  // a file system that does not tell holes
  hold();
  for (int i = 1; i < 64; i += 2) {
    REQUIRE(lseek(fd, (i - 1) * block, SEEK_HOLE) == (i - 1) * block && lseek(fd, (i - 1) * block, SEEK_DATA) == i * block);
    REQUIRE(lseek(fd, i * block, SEEK_HOLE) == (i + 1) * block);
  }
  std::string far(size_t(block), '\0');
  REQUIRE(lseek(fd, 64 * block, SEEK_DATA) == kFar && pread(fd, far.data(), far.size(), kFar) == block && far == content);
  REQUIRE(fstat(fd, &info) == 0 && info.st_size == 2 * kFar);
}

/** The name that it was opened by is gone, another one is left. */
void otherName() {
  const int fd = make("first", "content");
  REQUIRE(link("first", "second") == 0 && unlink("first") == 0 && lseek(fd, 0, SEEK_SET) == 0);
  hold();
  REQUIRE(put(fd, "CON") == 0);
  const int other = open("second", O_RDONLY);
  REQUIRE(take(other) == "CONtent");
}

void distantName() {
  mkdir("dir", 0700);
  const int fd = make("first", "content");
  REQUIRE(fd >= 0 && link("first", "dir/second") == 0 && unlink("first") == 0);
  hold();
}

/** Another file has the name now. */
void replaced() {
  const int fd = make("config", "old content");
  make("config.new", "new");
  REQUIRE(rename("config.new", "config") == 0 && lseek(fd, 4, SEEK_SET) == 4);
  hold();
  REQUIRE(take(fd) == "content");
  const int fresh = open("config", O_RDONLY);
  REQUIRE(take(fresh) == "new");
}

void renamed() {
  const int fd = make("before", "content");
  REQUIRE(rename("before", "after") == 0 && mkdir("dir", 0700) == 0 && rename("after", "dir/after") == 0);
  hold();
  REQUIRE(put(fd, " more") == 0);
  const int other = open("dir/after", O_RDONLY);
  REQUIRE(take(other) == "content more");
}

void pathOnly() {
  mkdir("dir", 0700);
  make("dir/file", "x");
  const int directory = open("dir", O_PATH | O_DIRECTORY), file = open("dir/file", O_PATH);
  REQUIRE(symlink("dir/file", "link") == 0);
  const int link = open("link", O_PATH | O_NOFOLLOW);
  hold();
  struct stat info{};
  REQUIRE(fstatat(directory, "file", &info, 0) == 0 && fstat(file, &info) == 0 && info.st_size == 1);
  REQUIRE((fcntl(file, F_GETFL) & O_PATH) != 0 && fstat(link, &info) == 0 && S_ISLNK(info.st_mode));
  char byte = 0;
  REQUIRE(read(file, &byte, 1) == -1 && errno == EBADF);
}

void temporary() {
  const int fd = open(".", O_TMPFILE | O_RDWR, 0640);
  REQUIRE(fd >= 0 && put(fd, "nameless") == 0);
  hold();
  struct stat info{};
  REQUIRE(lseek(fd, 0, SEEK_SET) == 0 && take(fd) == "nameless" && fstat(fd, &info) == 0 && info.st_nlink == 0 &&
          (info.st_mode & 0777) == 0640);
}

void directory() {
  mkdir("many", 0700);
  for (int i = 0; i < 300; ++i) close(make(("many/file-with-a-long-name-" + std::to_string(i)).c_str(), ""));
  DIR* listing = opendir("many");
  int seen = 0;
  while (seen < 250 && readdir(listing) != nullptr) ++seen;
  hold();
  while (readdir(listing) != nullptr) ++seen;
  REQUIRE(seen == 302);
  REQUIRE(seen == 302);
  rewinddir(listing);
  for (seen = 0; readdir(listing) != nullptr;) ++seen;
  REQUIRE(seen == 302);
}

void fifo() {
  REQUIRE(mkfifo("fifo", 0600) == 0);
  const int both = open("fifo", O_RDWR | O_NONBLOCK), reader = open("fifo", O_RDONLY), writer = open("fifo", O_WRONLY);
  REQUIRE(put(writer, "in the fifo") == 0);
  hold();
  REQUIRE(take(reader, 3) == "in " && take(both) == "the fifo" && put(writer, "x") == 0 && take(reader) == "x");
  close(writer), close(both);
  REQUIRE(take(reader).empty());
}

void namelessFifo() {
  REQUIRE(mkfifo("nameless", 0640) == 0);
  const int both = open("nameless", O_RDWR | O_NONBLOCK), writer = open("nameless", O_WRONLY);
  REQUIRE(mkfifo("lost", 0600) == 0);
  const int lost = open("lost", O_RDWR | O_NONBLOCK);
  REQUIRE(unlink("nameless") == 0 && put(writer, "nameless") == 0 && put(lost, "lost") == 0);
  hold();
  struct stat info{};
  REQUIRE(fstat(both, &info) == 0 && info.st_mode == (S_IFIFO | 0640) && info.st_nlink == 0);
  REQUIRE(take(both) == "nameless" && put(writer, "x") == 0 && take(both) == "x" && take(lost) == "lost");
}

void locks() {
  const int whole = make("flock", "x"), shared1 = open("flock2", O_RDWR | O_CREAT, 0600);
  REQUIRE(flock(whole, LOCK_EX) == 0 && flock(shared1, LOCK_SH) == 0);
  const int posix = make("posix", "0123456789"), ofd = make("ofd", "0123456789");
  struct flock range{};
  range.l_type = F_WRLCK, range.l_start = 2, range.l_len = 3;
  REQUIRE(fcntl(posix, F_SETLK, &range) == 0 && fcntl(ofd, F_OFD_SETLK, &range) == 0);
  range.l_type = F_RDLCK, range.l_start = 7, range.l_len = 0;
  REQUIRE(fcntl(posix, F_SETLK, &range) == 0);
  int ends[2], back[2];
  REQUIRE(pipe(ends) == 0 && pipe(back) == 0);
  const pid_t child = spawn([&] {
    range.l_type = F_WRLCK, range.l_start = 0, range.l_len = 1;
    REQUIRE(fcntl(posix, F_SETLK, &range) == 0 && put(back[1], "x") == 0);
    take(ends[0], 1);
  });
  REQUIRE(take(back[0], 1) == "x");
  hold();
  const int rival = open("flock", O_RDWR), rival2 = open("flock2", O_RDWR), rival3 = open("ofd", O_RDWR);
  REQUIRE(flock(rival, LOCK_SH | LOCK_NB) == -1 && flock(rival2, LOCK_EX | LOCK_NB) == -1 && flock(rival2, LOCK_SH | LOCK_NB) == 0);
  range.l_type = F_WRLCK, range.l_start = 0, range.l_len = 0, range.l_pid = 0;
  REQUIRE(fcntl(rival3, F_OFD_GETLK, &range) == 0 && range.l_type == F_WRLCK && range.l_start == 2 && range.l_len == 3);
  range.l_type = F_RDLCK, range.l_start = 0, range.l_len = 1, range.l_pid = 0;
  REQUIRE(fcntl(posix, F_GETLK, &range) == 0 && range.l_type == F_WRLCK && range.l_pid == child);
  const pid_t other = spawn([&] {
    range.l_type = F_WRLCK, range.l_start = 5, range.l_len = 0, range.l_pid = 0;
    REQUIRE(fcntl(posix, F_GETLK, &range) == 0 && range.l_type == F_RDLCK && range.l_start == 7 && range.l_pid == getppid());
  });
  REQUIRE(endsWell(other) && put(ends[1], "x") == 0 && endsWell(child));
}

/** Who is shown to have a flock: one who has closed the file since, one who has it, one who has ended. */
void lockOwners() {
  const auto ownerOf = [](int fd) {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd));
    std::string word;
    while (file >> word && word != "FLOCK") {
    }
    int owner = -1;
    file >> word >> word >> owner;
    return owner;
  };
  const int closed = make("closed", "x"), kept = make("kept", "x"), left = make("left", "x");
  int ends[2];
  REQUIRE(pipe(ends) == 0 && flock(closed, LOCK_EX) == 0);
  const pid_t child = spawn([&] {
    REQUIRE(flock(kept, LOCK_SH) == 0 && ownerOf(closed) == getppid());
    take(ends[0], 1);
    REQUIRE(ownerOf(closed) == getppid());
  });
  until([&] { return ownerOf(kept) == child; });
  REQUIRE(endsWell(spawn([&] { REQUIRE(flock(left, LOCK_EX) == 0); })) && close(closed) == 0);
  hold();
  REQUIRE(ownerOf(kept) == child && put(ends[1], "x") == 0 && endsWell(child));
  const int rivals[] = {open("kept", O_RDWR), open("left", O_RDWR)};
  REQUIRE(flock(rivals[0], LOCK_EX | LOCK_NB) == -1 && flock(rivals[1], LOCK_SH | LOCK_NB) == -1);
}

volatile sig_atomic_t brokenFd = -1;

/** One for reading, one for writing; whoever opens the file is waited for, and the owner told by the signal of its choice.
 */
void leases() {
  const int writes = make("written", "x"), made = make("read", "x");
  const int reads = open("read", O_RDONLY), other = open("read", O_RDONLY);
  close(made);
  REQUIRE(fcntl(writes, F_SETLEASE, F_WRLCK) == 0 && fcntl(reads, F_SETLEASE, F_RDLCK) == 0 && fcntl(writes, F_SETSIG, SIGRTMIN + 1) == 0);
  struct sigaction action{};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) { brokenFd = info->si_fd; };
  REQUIRE(sigaction(SIGRTMIN + 1, &action, nullptr) == 0);
  hold();
  REQUIRE(fcntl(writes, F_GETLEASE) == F_WRLCK && fcntl(reads, F_GETLEASE) == F_RDLCK && fcntl(other, F_GETLEASE) == F_UNLCK);
  REQUIRE(fcntl(writes, F_GETSIG) == SIGRTMIN + 1 && fcntl(writes, F_GETOWN) == getpid() && brokenFd == -1);
  REQUIRE(open("written", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK && brokenFd == writes);
  REQUIRE(fcntl(writes, F_SETLEASE, F_UNLCK) == 0 && open("written", O_RDONLY | O_NONBLOCK) >= 0);
}

/** Somebody waits to open the file, and the owner has yet to give way. */
void breakingLease() {
  const int fd = make("leased", "x");
  signal(SIGIO, SIG_IGN);
  REQUIRE(fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && open("leased", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
  hold();
  REQUIRE(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
}

void procFiles() {
  const int self = open("/proc/self/status", O_RDONLY), maps = open("/proc/self/maps", O_RDONLY), version = open("/proc/version", O_RDONLY);
  const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY), sys = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = spawn([&] { take(ends[0], 1); });
  const int other = open(("/proc/" + std::to_string(child) + "/comm").c_str(), O_RDONLY);
  REQUIRE(self >= 0 && maps >= 0 && version >= 0 && directory >= 0 && other >= 0);
  hold();
  REQUIRE(take(self).find("\nPid:\t" + std::to_string(getpid()) + "\n") != std::string::npos);
  REQUIRE(take(maps).find("victim_holds") != std::string::npos && take(version).starts_with("Linux") && take(other) == "victim_holds\n");
  REQUIRE(sys < 0 || take(sys).find("never") != std::string::npos);
  struct stat info{};
  REQUIRE(fstatat(directory, std::to_string(directory).c_str(), &info, 0) == 0 && put(ends[1], "x") == 0 && endsWell(child));
}

void sharedMemoryFile() {
  const std::string name = uniqueName("/");
  const int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), gone = shm_open((name + "-gone").c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(ftruncate(fd, 8192) == 0 && ftruncate(gone, 8192) == 0 && shm_unlink((name + "-gone").c_str()) == 0);
  char* memory = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  char* nameless = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, gone, 0));
  strcpy(memory + 4096, "posix shared memory");
  strcpy(nameless + 4096, "unlinked");
  const std::string script = "rm /dev/shm" + name;  // another node, or the cleaning up of this one
  meanwhile(script.c_str());
  hold();
  REQUIRE(strcmp(memory + 4096, "posix shared memory") == 0 && strcmp(nameless + 4096, "unlinked") == 0);
  const int again = shm_open(name.c_str(), O_RDWR, 0600);
  char* second = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0));
  strcpy(second, "same");
  REQUIRE(again >= 0 && strcmp(memory, "same") == 0 && shm_unlink(name.c_str()) == 0 && pread(gone, second, 9, 4096) == 9);
}

/** Removed and made anew by name between checkpoint and restart: offsets, contents and the link count must not be mixed up. */
void mappedUnlinked() {
  const int fd = make("mapped", std::string(9000, 'm'));
  char* priv = static_cast<char*>(mmap(nullptr, 9000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  char* shared = static_cast<char*>(mmap(nullptr, 9000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  priv[0] = 'P', shared[8191] = 'S';
  REQUIRE(unlink("mapped") == 0);
  hold();
  REQUIRE(priv[0] == 'P' && shared[0] == 'm' && priv[1] == 'm' && priv[8191] == 'S' && shared[8999] == 'm');
  shared[1] = 's';
  char bytes[2];
  REQUIRE(pread(fd, bytes, 2, 0) == 2 && bytes[1] == 's');
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0 && info.st_size == 9000);
}

const Case kGrown(Supported{"fileGrown", "descriptors", "files that have grown since the checkpoint: rolled back", "restored"}, grown);
const Case kUnlinked(Supported{"fileUnlinked", "descriptors", "unlinked files: content, holes, several descriptions", "restored"},
                     unlinkedFile);
const Case kHoles(Supported{"fileHoles", "descriptors", "unlinked files: every hole, sizes beyond memory", "restored"}, holes);
const Case kOtherName(Supported{"fileOtherName", "descriptors",
                                "a file whose name was removed while another one in the same directory is left", "restored"},
                      otherName);
const Case kDistantName(Supported{"fileDistantName", "descriptors",
                                  "a file whose name was removed while others, in other directories, are left", "refused: has other names"},
                        distantName);
const Case kReplaced(Supported{"fileReplaced", "descriptors", "a file whose name belongs to another one now", "restored"}, replaced);
const Case kRenamed(Supported{"fileRenamed", "descriptors", "files renamed while open", "restored"}, renamed);
const Case kPath(Supported{"filePathOnly", "descriptors", "O_PATH descriptors of files, directories and symbolic links", "restored"},
                 pathOnly);
const Case kTemporary(Supported{"fileTemporary", "descriptors", "O_TMPFILE files", "restored"}, temporary);
const Case kDirectory(Supported{"directoryOffset", "descriptors", "directories being read", "restored"}, directory);
const Case kFifo(Supported{"fifo", "descriptors", "FIFOs with contents", "restored"}, fifo);
const Case kNameless(Supported{"fifoNameless", "descriptors", "FIFOs without a name", "restored"}, namelessFifo);
const Case kOwners(Supported{"lockOwners", "descriptors", "who has taken a flock, as `/proc/locks` tells it", "restored"}, lockOwners);
const Case kLocks(Supported{"locks", "descriptors", "flock, POSIX and OFD locks", "restored"}, locks);
const Case kLease(Supported{"leases", "descriptors", "file leases", "restored"}, leases);
const Case kBreaking(Supported{"breakingLease", "descriptors", "a file lease that is being broken",
                               "refused: a lease on it is being broken"},
                     breakingLease);
const Case kProc(Supported{"procFiles", "descriptors", "files of /proc and /sys, also those of other processes of the job", "restored"},
                 procFiles);
const Case kShm(Supported{"posixShm", "memory", "POSIX shared memory, also unlinked", "restored"}, sharedMemoryFile);
const Case kMapped(Supported{"mappedUnlinked", "memory", "files that are mapped, open and unlinked", "restored"}, mappedUnlinked);

}  // namespace
}  // namespace holds
