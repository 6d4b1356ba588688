// The metadata of a context: what the checksums let through must be refused or be usable, whoever wrote it.
#include <cstdlib>

#include "image/serialise.h"
#include "image/tree_plan.h"
#include "image/validate.h"
#include "target.h"
#include "unit/sample_image.h"

using namespace blcr;

std::vector<std::string> fuzzSeeds() {
  image::Image one = sampleImage();
  one.processes.resize(1);
  return {image::serialise(sampleImage()), image::serialise(one), image::serialise({})};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto image = image::deserialise({reinterpret_cast<const char*>(data), size});
  if (!image.ok()) return 0;
  (void)image::validate(image.value());
  (void)image::planTree(image.value().processes, 0);
  // What was understood can be written and understood again.
  if (!image::deserialise(image::serialise(image.value())).ok()) std::abort();
  return 0;
}
