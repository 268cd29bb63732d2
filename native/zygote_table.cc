#include "zygote_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "posix.h"

namespace sys {
namespace {

struct Entry {
  ZygoteLink link;
  int holds;
  bool is_dead;
  char* key;
  Entry* next;
};

// Guards the list and all its entries.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Entry* entries = nullptr;

bool Hold(const char* key, ZygoteLink* link) {
  for (Entry* entry = entries; entry != nullptr; entry = entry->next) {
    if (entry->is_dead || strcmp(entry->key, key) != 0) continue;
    entry->holds += 1;
    *link = entry->link;
    return true;
  }
  return false;
}

void End(const ZygoteLink& link) {
  Close(link.socket);
  if (link.pid > 0) LeaveChild(link.pid);
}

}  // namespace

int HoldZygote(const char* key, ZygoteLink* link) {
  const Lock lock(&mutex);
  return Hold(key, link) ? 0 : -ENOENT;
}

int ShareZygote(const char* key, ZygoteLink* link) {
  const Lock lock(&mutex);
  const ZygoteLink own = *link;
  if (Hold(key, link)) {
    End(own);
    return 0;
  }
  auto* entry = static_cast<Entry*>(malloc(sizeof(Entry)));
  char* copy = strdup(key);
  if (entry == nullptr || copy == nullptr) {
    free(copy);
    free(entry);
    End(own);
    return -ENOMEM;
  }
  *entry = {own, 1, false, copy, entries};
  entries = entry;
  return 0;
}

int ReleaseZygote(int socket, bool is_dead) {
  const Lock lock(&mutex);
  Entry** at = &entries;
  while (*at != nullptr && (*at)->link.socket != socket) at = &(*at)->next;
  Entry* entry = *at;
  if (entry == nullptr) return -EBADF;
  if (is_dead) entry->is_dead = true;
  entry->holds -= 1;
  if (entry->holds > 0) return 0;
  *at = entry->next;
  const int pid = entry->link.pid;
  Close(socket);
  free(entry->key);
  free(entry);
  return pid;
}

}  // namespace sys
