#include "image/identity.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "check.h"

using namespace blcr;

namespace {

std::string hashOf(const std::string& text) { return image::sha256(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace

// Source: FIPS 180-4 examples (NIST).
TEST(sha256Vectors) {
  CHECK(hashOf("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hashOf("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hashOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hashOf(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(elfFilesHaveABuildIdOrAHash) {
  const UniqueFd self(open("/bin/ls", O_RDONLY));
  const auto identity = image::contentIdentity(self.get());
  CHECK(identity.ok() && identity.value().find("build-id:") == 0 && identity.value().size() >= 9 + 16);
}

TEST(otherFilesAreKnownByTheirContent) {
  const UniqueFd file(memfd_create("identity", 0));
  CHECK(write(file.get(), "abc", 3) == 3);
  const auto identity = image::contentIdentity(file.get());
  CHECK(identity.ok() && identity.value() == "sha256:" + hashOf("abc"));
  CHECK(pwrite(file.get(),
               "\x7f"
               "ELF\2\1\1",
               7, 0) == 7);  // a malformed ELF file is any other file
  CHECK(image::contentIdentity(file.get()).value().find("sha256:") == 0);
}

CHECK_MAIN
