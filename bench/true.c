// The floor: posix_spawn of /bin/true, reaped. Prints the median in ms.
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int Compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(void) {
  enum { kRounds = 50 };
  double times[kRounds];
  char* const argv[] = {"true", NULL};
  for (int i = 0; i < kRounds; i++) {
    const double start = Now();
    pid_t pid;
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0) {
      return 1;
    }
    waitpid(pid, NULL, 0);
    times[i] = Now() - start;
  }
  qsort(times, kRounds, sizeof *times, Compare);
  printf("%f\n", times[kRounds / 2]);
  return 0;
}
