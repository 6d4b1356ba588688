// Which edges of the code under test an input took, as told by -fsanitize-coverage=trace-pc (GCC and clang).
#pragma once

namespace fuzz {

/** Forgets what the last input took. */
void startInput();

/** Whether the input since startInput() took an edge, or took one so much more often, that no earlier one did. Remembers it. */
[[nodiscard]] bool foundNew();

/** Edges seen so far. */
[[nodiscard]] unsigned edges();

}  // namespace fuzz
