// Victims with sockets: names, ports, queues and calls under way survive; what is taken on this host is refused.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/socket_address.h"
#include "survive.h"

TEST(localSockets) { surviveWhenReady("local_sockets", "local sockets kept\n"); }
TEST(localSocketsForked) { surviveWhenReady("local_sockets", "local sockets kept\n", blcr::Snapshot::kFork); }
TEST(internetSockets) { surviveWhenReady("internet_sockets", "internet sockets kept\n"); }
TEST(internetSocketsForked) { surviveWhenReady("internet_sockets", "internet sockets kept\n", blcr::Snapshot::kFork); }
TEST(callsOnSockets) { surviveWhenReady("socket_calls", "calls on sockets kept\n"); }

TEST(connectionsToTheOutsideAreLetGo) {
  char directory[] = "/tmp/outside-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr && chmod(directory, 0755) == 0);
  const auto bound = [](int type, const std::string& name) {
    const blcr::SocketAddress address(name);
    blcr::UniqueFd fd(socket(address.family(), type, 0));
    CHECK(bind(fd.get(), address.get(), address.size()) == 0);
    return fd;
  };
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string stream = std::string(directory) + "/stream", log = std::string(directory) + "/log";
  const blcr::UniqueFd server = bound(SOCK_STREAM, std::string(reinterpret_cast<const char*>(&any), sizeof any));
  const blcr::UniqueFd local = bound(SOCK_STREAM, blcr::localName(stream)), mailbox = bound(SOCK_DGRAM, blcr::localName(log));
  CHECK(chmod(stream.c_str(), 0666) == 0 && chmod(log.c_str(), 0666) == 0);
  CHECK(listen(server.get(), 8) == 0 && listen(local.get(), 8) == 0);
  roundtrip::Job job;
  job.command = {victims() + "outside", std::to_string(blcr::portOf(blcr::addressOf(server.get(), getsockname))), stream, log};
  job.intervalMs = 20;
  job.tellsReady = job.closesConnections = true;
  survive(job, "outside let go\n");
  char text[16];
  CHECK(recv(mailbox.get(), text, sizeof text, MSG_DONTWAIT) == 6 && std::memcmp(text, "logged", 6) == 0);
  std::filesystem::remove_all(directory);
}

namespace {

/** The second life of the job, in a process of its own; what it said on stderr when it failed, "" when it did not. */
std::string goOn(const roundtrip::Job& job) {
  const std::string said = job.directory + "/said";
  const pid_t keeper = fork();
  if (keeper == 0) {
    alarm(60);
    dup2(open(said.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), 2);
    roundtrip::goOn(job, 1);
  }
  int status = 0;
  waitpid(keeper, &status, 0);
  return status == 0 ? std::string() : roundtrip::readAll(said);
}

bool contains(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST(namesThatAreTakenAreRefused) {
  char directory[] = "/tmp/taken-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  const std::string name = std::string("blcr-") + directory, path = std::string(directory) + "/listening.sock";
  roundtrip::Job job;
  job.command = {victims() + "listening", name};
  job.directory = directory;
  job.generations = 1;
  job.tellsReady = true;
  const pid_t keeper = fork();
  if (keeper == 0) roundtrip::start(job);
  int status = 0;
  CHECK(waitpid(keeper, &status, 0) == keeper && status == 0);
  const auto taking = [](const std::string& address) {
    const blcr::SocketAddress at(address);
    blcr::UniqueFd fd(socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(bind(fd.get(), at.get(), at.size()) == 0 && listen(fd.get(), 1) == 0);
    return fd;
  };
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto port = uint16_t(std::stoi(roundtrip::readAll(job.directory + "/port")));
  const std::string inet = blcr::withPort(std::string(reinterpret_cast<const char*>(&any), sizeof any), port);
  std::string abstract = blcr::localName(" " + name);
  abstract[sizeof(sa_family_t)] = 0;
  abstract.pop_back();
  {
    const blcr::UniqueFd taken = taking(inet);
    CHECK(contains(goOn(job), "127.0.0.1:" + std::to_string(port)));
  }
  {
    const blcr::UniqueFd taken = taking(abstract);
    CHECK(contains(goOn(job), "@" + name));
  }
  std::filesystem::remove(path);
  {
    const blcr::UniqueFd taken = taking(blcr::localName(path));
    CHECK(contains(goOn(job), path.substr(path.rfind('/') + 1) + ": Address already in use"));
    std::filesystem::remove(path);
  }
  std::ofstream(path) << "somebody else's";
  CHECK(contains(goOn(job), "File exists") && roundtrip::readAll(path) == "somebody else's");
  std::filesystem::remove(path);
  // Whoever has them now goes away, as an earlier life that was killed a moment ago does.
  pid_t leaving = -1;
  {
    const blcr::UniqueFd taken = taking(inet), other = taking(abstract);
    leaving = fork();
    if (leaving == 0) usleep(300000), _exit(0);
  }
  CHECK(goOn(job).empty() && roundtrip::readAll(job.directory + "/out") == "listening\n");
  std::filesystem::remove_all(directory);
}

CHECK_MAIN
