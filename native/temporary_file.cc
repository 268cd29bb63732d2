// A file that is unlinked at once and exists as long as its fds.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix.h"

namespace sys {
namespace {

int CreateIn(const char* directory) {
  char name[PATH_MAX];
  const int length =
      snprintf(name, sizeof name, "%s/jobserver-XXXXXX", directory);
  if (length < 0 || length >= PATH_MAX) return -ENAMETOOLONG;
  const int fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) return -errno;
  unlink(name);
  return fd;
}

}  // namespace

int TemporaryFile() {
  const char* directory = getenv("TMPDIR");
  if (directory != nullptr && directory[0] != '\0') {
    const int fd = CreateIn(directory);
    if (fd >= 0) return fd;
  }
  return CreateIn("/tmp");
}

int CheckTemporary(int fd) {
  struct stat file;
  const int error = StatFile(fd, &file);
  if (error < 0) return error;
  return S_ISREG(file.st_mode) && file.st_nlink == 0 ? 0 : -EBADMSG;
}

}  // namespace sys
