// Whether the environment of this process has changed: the texts of all
// variables are compared with a copy, which takes less time than reading them
// through JavaScript.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix.h"

extern "C" char** environ;  // NOLINT(*redundant-declaration)

namespace sys {
namespace {

// The variables, each with its zero byte, as they were at the last call.
char* copy = nullptr;
size_t copy_length = 0;
int stamp = 0;

bool IsCopied() {
  size_t offset = 0;
  for (char** variable = environ; *variable != nullptr; variable++) {
    const size_t length = strlen(*variable) + 1;
    if (length > copy_length - offset) return false;
    if (memcmp(copy + offset, *variable, length) != 0) return false;
    offset += length;
  }
  return offset == copy_length;
}

int Copy() {
  size_t length = 0;
  for (char** variable = environ; *variable != nullptr; variable++) {
    length += strlen(*variable) + 1;
  }
  auto* bytes = static_cast<char*>(malloc(length + 1));
  if (bytes == nullptr) return -ENOMEM;
  char* end = bytes;
  for (char** variable = environ; *variable != nullptr; variable++) {
    end = stpcpy(end, *variable) + 1;
  }
  free(copy);
  copy = bytes;
  copy_length = length;
  return 0;
}

}  // namespace

int EnvironmentStamp() {
  if (copy != nullptr && IsCopied()) return stamp;
  const int result = Copy();
  if (result < 0) return result;
  stamp = (stamp + 1) & INT32_MAX;
  return stamp;
}

}  // namespace sys
