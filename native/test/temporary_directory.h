// A directory of a test's own, gone with its object.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "check.h"

class TemporaryDirectory {
 public:
  /** `name` begins the directory's own. */
  explicit TemporaryDirectory(const std::string& name) : path_("/tmp/" + name + "-XXXXXX") { CHECK(mkdtemp(path_.data()) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};
